# Sourced by the launchers in bin/ with $bin (their folder) and $program (a folder of src/) set, and "$@" the user's arguments.
# Finds a Node >= 26 and becomes it: exec, so that the pid is the program's and signals reach it.

root=$(CDPATH= cd -P -- "$bin/.." && pwd)

# The one that `npm run setup` installed with the packages is 26 by package-lock.json, so it is not asked for its version (40 ms).
node=
for candidate in "$root/node_modules/.bin/node" "$root/../.bin/node"; do
  if [ -x "$candidate" ]; then
    node=$candidate
    break
  fi
done

if [ -z "$node" ]; then
  found=$(node --version 2>/dev/null) || found=
  major=${found#v}
  major=${major%%.*}
  if [ "${major:-0}" -ge 26 ] 2>/dev/null; then
    node=node
  else
    echo "error: Cannot start as Node 26 or newer is not installed: found ${found:-none}; to install it, run: npm --prefix \"$root\" run setup" >&2
    exit 1
  fi
fi

# Node keeps compiled code here, with the types already stripped. Measured on two cores, commander + yaml + src/api: 150 ms a start
# without it, 110 ms with it; a file of ours alone: 48 ms without, 18 ms with (the stripper is not even loaded).
if [ -z "${NODE_COMPILE_CACHE:-}" ] && [ -n "${XDG_CACHE_HOME:-${HOME:-}}" ]; then
  export NODE_COMPILE_CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/caravanserai/compile-cache"
fi

# Node itself warns on stderr where both are set. Who says no means no.
if [ -n "${NO_COLOR:-}" ]; then
  unset FORCE_COLOR
fi

# The agent's short-lived objects get 2 MiB instead of up to 16: 89 MB resident instead of 110 after a hundred containers (`npm run bench`).
case $program in
  agent) heap=--max-semi-space-size=2 ;;
  *) heap= ;;
esac

exec "$node" --disable-warning=ExperimentalWarning ${heap:+"$heap"} "$root/src/$program/main.ts" "$@"
