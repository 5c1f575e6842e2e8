# Windows Server, DHCP role: the addresses of both servers for every scope that has none of its own, and none else. Without -Force
# the cmdlet asks each address a question first and refuses one that does not answer.
# https://learn.microsoft.com/powershell/module/dhcpserver/set-dhcpserverv4optionvalue
Set-DhcpServerv4OptionValue -ComputerName dhcp.corp.example -DnsServer 192.0.2.53, 192.0.2.54
Set-DhcpServerv6OptionValue -ComputerName dhcp.corp.example -DnsServer 2001:db8::53, 2001:db8::54

# Scopes that have a value of their own keep it: show them, so that none is forgotten.
Get-DhcpServerv4Scope -ComputerName dhcp.corp.example | ForEach-Object {
    Get-DhcpServerv4OptionValue -ComputerName dhcp.corp.example -ScopeId $_.ScopeId -OptionId 6 -ErrorAction SilentlyContinue |
        Select-Object @{ Name = 'Scope'; Expression = { $_.ScopeId } }, Value
}
# A table of leases for Embargo ([[leases]] format = "csv", with the names of these columns), to be written by a scheduled task:
# address,mac,host_name,until
Get-DhcpServerv4Scope -ComputerName dhcp.corp.example | Get-DhcpServerv4Lease -ComputerName dhcp.corp.example |
    Select-Object @{ Name = 'address'; Expression = { $_.IPAddress } },
        @{ Name = 'mac'; Expression = { $_.ClientId -replace '-', ':' } },
        @{ Name = 'host_name'; Expression = { $_.HostName } },
        @{ Name = 'until'; Expression = { $_.LeaseExpiryTime.ToUniversalTime().ToString('yyyy-MM-ddTHH:mm:ssZ') } } |
    Export-Csv -NoTypeInformation -Encoding utf8 -Path leases.csv
