#!/usr/bin/env bash
# Unpack Debian packages of any architecture, with their dependencies, into a directory.
#
#   sysroot.sh SUITE ARCH DIR PACKAGE...
#   e.g. sysroot.sh trixie riscv64 target/guest/sysroot/riscv64 busybox-static python3
#
# ARCH "source" gets source packages: what upstream published, in DIR/usr/src/PACKAGE, without Debian's changes.
#
# Nothing is installed and no maintainer script runs: apt-get, with directories of its own, resolves, downloads and
# verifies; dpkg-deb and tar unpack; then links are made relative and the few files that maintainer scripts would have
# written are made here. The mirror and the signing key are those of this machine's own apt sources.
# A DIR that already holds exactly this (suite, arch, packages) is left alone.
#
# Environment:
#   FORCE=1           rebuild in any case
#   SYSROOT_CACHE     package lists and .debs, safe to delete (default /var/tmp/emu-sysroot-cache)
#   SYSROOT_ONLY      unpack only those of the resolved packages whose whole name matches this regular expression
#   SYSROOT_TTL       minutes for which a package list stays fresh (default 1440)
#   SYSROOT_URI       the archive, when the apt sources name none
set -euo pipefail

fail() { echo "sysroot: $*" >&2; exit 1; }
[ $# -ge 4 ] || { sed -n '2,20p' "$0" >&2; exit 2; }
suite=$1 arch=$2 dir=$(realpath -m -- "$3"); shift 3
want="$suite $arch $*${SYSROOT_ONLY:+ only:$SYSROOT_ONLY}"
if [ -z "${FORCE:-}" ] && [ -f "$dir/.sysroot" ] && [ "$(head -n1 "$dir/.sysroot")" = "$want" ]; then
  echo "sysroot: $arch is up to date ($(sed -n 2p "$dir/.sysroot"))"; exit 0
fi
for tool in apt-get dpkg-deb tar flock; do command -v $tool >/dev/null || fail "$tool is needed (a Debian host)"; done
cache=${SYSROOT_CACHE:-/var/tmp/emu-sysroot-cache}
priv=$cache/$suite-$arch
mkdir -p "$priv"/{lists/partial,state,etc} "$cache/debs/partial"
exec 9>"$priv/lock"; flock 9

# --- the archive and its key, from this machine's apt sources (deb822 or one-line form)
shopt -s nullglob
deb822=(/etc/apt/sources.list.d/*.sources) oneline=(/etc/apt/sources.list /etc/apt/sources.list.d/*.list)
shopt -u nullglob
uri=${SYSROOT_URI:-}
[ -n "$uri" ] || uri=$({ cat "${deb822[@]}" /dev/null | sed -nE 's/^URIs:[[:space:]]*//p' | tr ' ' '\n'
    cat "${oneline[@]}" 2>/dev/null | sed -nE 's/^deb[[:space:]]+(\[[^]]*\][[:space:]]*)?([^[:space:]]+).*/\2/p'; } |
    grep -E '/debian/?$' | head -n1 || true)
[ -n "$uri" ] || fail "no Debian archive in this machine's apt sources (set SYSROOT_URI)"
keyring=$(cat "${deb822[@]}" "${oneline[@]}" 2>/dev/null |
    grep -oE '^Signed-By:[[:space:]]*/[^[:space:]]+|signed-by=/[^] ,]+' | sed -E 's/^[^/]*//' | grep -i debian | head -n1 || true)
[ -r "$keyring" ] || keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -r "$keyring" ] || fail "no keyring of the Debian archive ($keyring)"
case $arch in
  source) entry="deb-src [signed-by=$keyring]" index=Sources ;;
  *) entry="deb [arch=$arch signed-by=$keyring]" index=Packages ;;
esac
echo "$entry $uri $suite main" >"$priv/etc/sources.list"
: >>"$priv/state/status"

# --- a private apt: keeps this machine's apt.conf.d (proxy, date checks), drops its hooks, uses its own directories
{ [ ! -r /etc/apt/apt.conf ] || echo '#include "/etc/apt/apt.conf"'
  printf '#clear %s;\n' APT::Update::Post-Invoke APT::Update::Post-Invoke-Success DPkg::Pre-Install-Pkgs DPkg::Post-Invoke
} >"$priv/etc/main.conf"
echo "Dir::Etc::main \"$priv/etc/main.conf\";" >"$priv/etc/first.conf"
export APT_CONFIG=$priv/etc/first.conf DEBIAN_FRONTEND=noninteractive LC_ALL=C
apt=(apt-get -qq -y
  -o Dir::Etc::sourcelist="$priv/etc/sources.list" -o Dir::Etc::sourceparts=/dev/null
  -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null
  -o Dir::State="$priv/state" -o Dir::State::status="$priv/state/status" -o Dir::State::lists="$priv/lists"
  -o Dir::Cache="$priv" -o Dir::Cache::archives="$cache/debs"
  -o APT::Architecture="${arch/source/amd64}" -o APT::Architectures::="${arch/source/amd64}" -o Acquire::Languages=none
  -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false -o Acquire::Retries=3
  -o APT::Sandbox::User=root -o Debug::NoLocking=1 -o APT::Get::List-Cleanup=0
  -o APT::Install-Recommends=0 -o Binary::apt-get::APT::Keep-Downloaded-Packages=1)
if [ -z "$(find "$priv/lists" -maxdepth 1 -name "*_$index*" -mmin -"${SYSROOT_TTL:-1440}" -print -quit)" ]; then
  "${apt[@]}" update || fail "apt-get update of $suite/$arch failed"
  touch "$priv"/lists/*_"$index"*
fi

# --- resolve and download
tmp=$(mktemp -d "$priv/plan.XXXXXX"); new=$dir.new.$$
trap 'rm -rf "$tmp" "$new"' EXIT
if [ "$arch" = source ]; then
  for name in "$@"; do
    mkdir "$tmp/$name"; mkdir -p "$new/usr/src/$name"
    (cd "$tmp/$name" && "${apt[@]}" source --tar-only "$name") >"$tmp/log" 2>&1 || { tail -n 20 "$tmp/log" >&2; fail "download failed"; }
    tar -x --no-same-owner --strip-components=1 -C "$new/usr/src/$name" -f "$tmp/$name"/*.orig.tar.[gxb]z* || fail "cannot unpack $name"
  done
  { echo "$want"; echo "$# source packages, $(du -sm "$new" | cut -f1) MiB unpacked"; } >"$new/.sysroot"
  rm -rf "$dir"; mkdir -p "$(dirname "$dir")"; mv "$new" "$dir"
  echo "sysroot: $(sed -n 2p "$dir/.sysroot")"; exit 0
fi
"${apt[@]}" -s install "$@" >"$tmp/plan" || { cat "$tmp/plan" >&2; fail "apt cannot resolve: $*"; }
awk '$1=="Inst" { n=$2; sub(/:.*/,"",n); v=$0; sub(/^[^(]*\(/,"",v); sub(/ .*/,"",v); print n, v }' "$tmp/plan" >"$tmp/list"
if [ -n "${SYSROOT_ONLY:-}" ]; then
  grep -E "^($SYSROOT_ONLY) " "$tmp/list" >"$tmp/only" || fail "no package of the resolved set matches $SYSROOT_ONLY"
  mv "$tmp/only" "$tmp/list"
  (cd "$cache/debs" && sed 's/ /=/' "$tmp/list" | xargs -r "${apt[@]}" download) >"$tmp/log" 2>&1 ||
    { tail -n 20 "$tmp/log" >&2; fail "download failed"; }
else
  "${apt[@]}" --download-only install "$@" >"$tmp/log" 2>&1 || { tail -n 20 "$tmp/log" >&2; fail "download failed"; }
fi

# --- unpack into a new directory
rm -rf "$new"; mkdir -p "$new/usr"
for d in bin sbin lib; do mkdir "$new/usr/$d"; ln -s "usr/$d" "$new/$d"; done
case $arch in mips*|amd64) for d in lib64 lib32 libo32; do mkdir "$new/usr/$d"; ln -s "usr/$d" "$new/$d"; done;; esac
n=0 bytes=0
while read -r name ver; do
  for f in "$cache/debs/${name}_${ver//:/%3a}_"{"$arch",all}.deb; do [ ! -f "$f" ] || break; done
  [ -f "$f" ] || fail "no file for $name $ver"
  dpkg-deb --fsys-tarfile "$f" | tar -x --no-same-owner --keep-directory-symlink -C "$new" -f - || fail "cannot unpack $f"
  n=$((n+1)) bytes=$((bytes+$(stat -c %s "$f")))
done <"$tmp/list"

# --- what maintainer scripts would have done
cd "$new"
find . -type l -lname '/*' -printf '%p\t%l\n' | while IFS=$'\t' read -r l t; do
  case $t in /dev/*|/proc/*|/sys/*|/run/*) continue;; esac
  ln -sfn "$(realpath -ms --relative-to="$(dirname "$l")" ".$t")" "$l"
done
mkdir -p etc tmp; chmod 1777 tmp
for f in passwd group; do
  if [ -f usr/share/base-passwd/$f.master ]; then cp usr/share/base-passwd/$f.master etc/$f; fi
done
[ -e etc/passwd ] || echo 'root:x:0:0:root:/root:/bin/sh' >etc/passwd
[ -e etc/group ] || echo 'root:x:0:' >etc/group
alternative() { # LINK TARGET: unless LINK is there or TARGET is not
  if [ ! -e "usr/bin/$1" ] && [ -e "usr/bin/$2" ]; then ln -sfn "$2" "usr/bin/$1"; fi
}
alternative awk mawk; alternative awk gawk; alternative sh dash; alternative sh bash
alternative lua lua5.4; alternative cc gcc; alternative which which.debianutils; alternative 7za 7zz
{ echo "$want"; echo "$n packages, $((bytes/1048576)) MiB of .deb, $(du -sm . | cut -f1) MiB unpacked"; cat "$tmp/list"; } >.sysroot

cd /; rm -rf "$dir"; mkdir -p "$(dirname "$dir")"; mv "$new" "$dir"
echo "sysroot: $arch: $(sed -n 2p "$dir/.sysroot")"
