"""dnsdist, with the list as a set of suffixes and its packet cache in front of the upstream."""

from process import Process

from .server import Place, Server

CONFIGURATION = """\
setLocal('127.0.0.1:{port}', {{ reusePort = true }})
{more}
setMaxUDPOutstanding(4096)
setSecurityPollSuffix('')
newServer({{ address = '127.0.0.1:{upstream}', checkInterval = 5, sockets = 4 }})
getPool(''):setCache(newPacketCache(500000, {{ maxTTL = 86400, numberOfShards = 20 }}))

local function listed()
    local names = newSuffixMatchNode()
    for name in io.lines('{list}') do names:add(newDNSName(name)) end
    return SuffixMatchNodeRule(names)
end

local function block(rule)
    {log}
    addAction(rule, RCodeAction(DNSRCode.NXDOMAIN))
end

block(listed())

-- Once a second: is the list to be read again?
function maintenance()
    local flag = io.open('{directory}/reload')
    if flag then
        flag:close()
        os.remove('{directory}/reload')
        local rule = listed()
        clearRules()
        block(rule)
    end
end
"""


class Dnsdist(Server):
    name = "dnsdist"
    program = "dnsdist"
    package = "dnsdist"
    logs = "LogAction"

    def configure(self, place: Place) -> None:
        more = f"addLocal('127.0.0.1:{place.port}', {{ reusePort = true }})\n" * (place.threads - 1)
        # File, not binary, not appended, buffered, not only when verbose, with the time.
        log = f"addAction(rule, LogAction('{place.log_file}', false, false, true, false, true))" if place.log else ""
        text = CONFIGURATION.format(
            port=place.port, upstream=place.upstream, list=place.list, directory=place.directory, more=more, log=log
        )
        place.write("dnsdist.conf", text)

    def command(self, place: Place) -> list[str]:
        return [self.path(), "--supervised", "--disable-syslog", "-C", "dnsdist.conf"]

    def reload(self, place: Place, process: Process) -> None:
        place.write("reload", "")
