# What the stories share: a folder of their own, `minrnn` in the PATH, and the commands of a page of the docs.
# A story is sourced with the program as its argument; it needs bash, awk and coreutils, and no network.
set -euo pipefail

[ $# -eq 1 ] || { echo "usage: $0 MINRNN" >&2; exit 2; }
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin" "$work/here"
ln -s "$(realpath "$1")" "$work/bin/minrnn"
export PATH=$work/bin:$PATH
cd "$work/here"

fail() {
  echo "$(basename "$0"): $*" >&2
  exit 1
}

# commands NAME PAGE: the lines of the page's code blocks below a mark `<!-- story: NAME -->`.
commands() {
  awk -v mark="<!-- story: $1 -->" '
    $0 == mark { wanted = 1; next }
    wanted && /^```/ { if (inside) wanted = 0; inside = !inside; next }
    wanted && inside' "$2"
}

# follow NAME PAGE: runs them, as a reader would who copies them.
follow() {
  commands "$1" "$root/$2" >"$work/commands"
  [ -s "$work/commands" ] || fail "$2 has no block below <!-- story: $1 -->"
  local from=$SECONDS
  bash -euxo pipefail "$work/commands"
  echo "$1: the commands of $2 took $((SECONDS - from)) s"
}

# has FILE: it is there, and not empty.
has() {
  [ -s "$1" ] || fail "$1 is not there, or empty"
}
