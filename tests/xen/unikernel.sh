#!/bin/sh
# SPDX-License-Identifier: ISC
#
# unikernel.sh WORK OPTION...: builds the images of examples/unikernel, with what
# they serve, below WORK, and boots them as domains of a real Xen: rig.py site, with
# these options.  The exit code is 77 if that cannot be done here.

work=$1
shift
from=$PWD
cd "$(dirname "$0")/../.." || exit 1
mkdir -p "$work" || exit 1
dir=$work/making
www=www.flow.test
. tests/setup.sh
. examples/demo_files.sh

for tool in musl-gcc openssl curl; do
    command -v "$tool" >/dev/null && continue
    echo "skipped: $tool is missing"
    exit 77
done
[ -f /usr/include/xen/xen.h ] || {
    echo 'skipped: the headers of Xen are missing'
    exit 77
}

# contents NAME FILE
contents() {
    make_certificate "$1"
    mkdir -p "$work/contents/$1"
    mv "$dir/$1.pem" "$work/contents/$1/cert.pem"
    mv "$dir/$1.key" "$work/contents/$1/key.pem"
    mv "$dir/$2" "$work/contents/$1/$2"
    echo "$1 $(wc -c <"$work/contents/$1/$2")" \
        "$(sha256sum <"$work/contents/$1/$2" | cut -d' ' -f1)" >>"$work/sums"
}

make_contents() {
    rm -rf "$dir" "$work/contents" "$work/sums"
    mkdir -p "$dir" || exit 1
    chmod 700 "$dir"
    make_ca
    make_page
    python3 tests/xen/disk.py "$dir/block.bin" 4 || fail 'cannot write 4 MB'
    python3 tests/xen/disk.py "$dir/disk.bin" 176 || fail 'cannot write 176 MB'
    contents "$www" index.html
    contents block.flow.test block.bin
    contents disk.flow.test disk.bin
    mv "$dir/ca.pem" "$work/ca.pem"
    rm -rf "$dir"
}

# configure DIRECTORY OPTION...
configure() {
    build=$work/$1
    shift
    [ -f "$build/build.ninja" ] ||
        setup_step "configuring $build" meson setup "$build" \
            --cross-file examples/unikernel/musl.cross "$@" \
            -Dtests=disabled -Ddocs=disabled -Dmbedtls=bundled \
            -Dlibcrypto=disabled -Dipsec_mb=disabled -Dvchan=enabled \
            "-Dunikernel=$work/contents" || exit 1
}

# image NAME: $work/unikernel-NAME of the build directory, which Xen unpacks.
image() {
    program=examples/unikernel/unikernel-$1
    setup_step "building $program" ninja -j "${FLOW_JOBS:-2}" -C "$build" \
        "$program" || exit 1
    strip -o "$work/image" "$build/$program" || exit 1
    gzip -1 <"$work/image" >"$work/unikernel-$1" || exit 1
}

# size NAME: of the last image.
size() {
    bodies=$(cat "$work"/contents/*/* | wc -c)
    echo "unikernel-$1: $(($(wc -c <"$work/image") - bodies)) bytes without" \
        "what it serves"
}

setup_say 'making keys, certificates, a page, and files of 4 and 176 MB'
make_contents
configure build -Dlwip=enabled
image hello
image faults
image site
size site
configure build-small --cross-file examples/unikernel/small.cross
image vchan
size vchan
rm "$work/image"
# The options of the build name its programs from where it runs.
top=$PWD
cd "$from" || exit 1
exec python3 "$top/tests/xen/rig.py" site --work "$work/rig" \
    --dom0-program "$(command -v curl)" \
    --image "$work/unikernel-hello" --image "$work/unikernel-faults" \
    --image "$work/unikernel-site" --image "$work/unikernel-vchan" \
    --site "$work/ca.pem" --site "$work/sums" "$@"
