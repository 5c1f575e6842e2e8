"""Knot Resolver, one process, with the list as a response policy zone."""

import glob
from pathlib import Path

import obtain

from .server import Place, RpzServer

CONFIGURATION = """\
net.ipv6 = false
net.listen('127.0.0.1', {port}, {{ kind = 'dns' }})
modules = {{ 'policy' }}
for _, name in ipairs({{ 'ta_signal_query', 'ta_update', 'priming', 'detect_time_skew', 'detect_time_jump' }}) do
    modules.unload(name)
end
trust_anchors.remove('.')
log_level('err')
cache.size = 256 * MB
{log}
policy.add(policy.rpz({action}, '{list}', {watch}))
policy.add(policy.all(policy.STUB('127.0.0.1@{upstream}')))
"""

# With this it looks at the list by itself and reads it again.
WATCH = "/usr/share/lua/5.1/cqueues*"
# Its RPZ has no log of its own; this is the line that an operator would write.
LOG = """
local lookups = assert(io.open('{file}', 'w'))
lookups:setvbuf('full')
local function record(state, request)
    lookups:write(os.time(), ' ', kres.dname2str(request:current().sname), '\\n')
    return policy.DENY(state, request)
end
"""


class KnotResolver(RpzServer):
    name = "Knot Resolver"
    program = "kresd"
    package = "knot-resolver"
    version_flag = "-V"
    logs = "a line of Lua"

    def obtain(self, folder: Path, install: bool) -> None:
        super().obtain(folder, install)
        if install and not glob.glob(WATCH):
            obtain.packages(["lua-cqueues"])

    def configure(self, place: Place) -> None:
        text = CONFIGURATION.format(
            port=place.port,
            list=place.list,
            upstream=place.upstream,
            log=LOG.format(file=place.log_file) if place.log else "",
            action="record" if place.log else "policy.DENY",
            watch="true" if glob.glob(WATCH) else "false",
        )
        place.write("kresd.conf", text)
        (place.directory / "run").mkdir()

    def command(self, place: Place) -> list[str]:
        return [self.path(), "-n", "-c", str(place.directory / "kresd.conf"), str(place.directory / "run")]
