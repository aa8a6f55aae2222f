#!/bin/sh
# Makes the root of the image, without the program: node without its symbols, the libraries that it loads, the licences
# of both, the package lists for scanners, and the files in which libc looks up users and hosts. Runs as root on the
# Debian that the libraries come from. Usage: image-root.sh NODE ROOT, where NODE holds bin/node and LICENSE.
set -eu
node=$1
root=$2

mkdir -p "$root/usr/local/bin" "$root/etc/request-splitter" "$root/var/lib/dpkg/status.d"
mkdir -m 1777 "$root/tmp"
# A fifth of the file is symbols that only native debuggers read. The addons' own are in another table and stay.
strip -o "$root/usr/local/bin/node" "$node/bin/node"
install -D -m 644 "$node/LICENSE" "$root/usr/share/doc/node/LICENSE"

libraries=$(ldd "$node/bin/node" | grep -o '/[^ ]*')
packages=$(for library in $libraries; do
  # dpkg may know a file of /lib as one of /usr/lib.
  dpkg-query --search "$library" 2>/dev/null || dpkg-query --search "/usr$library"
done | cut -d: -f1 | sort -u)
for library in $libraries; do cp --dereference --parents "$library" "$root"; done

# Some bases leave the documentation out, and the licence texts with it.
if [ ! -e /usr/share/doc/libc6/copyright ]; then
  debs=$(mktemp -d)
  cd "$debs"
  # The texts of the compiler's libraries are in gcc-*-base.
  # shellcheck disable=SC2046,SC2086
  apt-get download --quiet $packages $(dpkg-query --show --showformat '${Package}\n' 'gcc-*-base')
  for deb in *.deb; do dpkg-deb --fsys-tarfile "$deb" | tar -x -C / ./usr/share/doc; done
fi
for package in $packages; do
  dpkg-query --status "$package" >"$root/var/lib/dpkg/status.d/$package"
  mkdir -p "$root/usr/share/doc/$package"
  cp --dereference "/usr/share/doc/$package/copyright" "$root/usr/share/doc/$package/"
done
# What those texts refer to.
grep -oh '/usr/share/common-licenses/[A-Za-z0-9.+-]*[A-Za-z0-9]' "$root"/usr/share/doc/*/copyright | sort -u |
  while read -r licence; do cp --dereference --parents "$licence" "$root"; done

cp --dereference /etc/os-release "$root/etc/"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
echo 'root:x:0:0:root:/:/sbin/nologin
nonroot:x:65532:65532:nonroot:/:/sbin/nologin' >"$root/etc/passwd"
echo 'root:x:0:
nonroot:x:65532:' >"$root/etc/group"

# Two builds of the same files are the same layer.
find "$root" -exec touch --no-dereference --date=@0 {} +
