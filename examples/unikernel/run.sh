#!/bin/sh
# SPDX-License-Identifier: ISC
#
# The example unikernel: builds the image, boots it in QEMU, fetches three names
# over HTTPS and the redirect with curl, compares the hashes, and powers off.

usage() {
    cat <<'USAGE'
usage: sh examples/unikernel/run.sh [--once] [--vchan] [--connections=N]

  --once           power off after the table instead of serving until Ctrl-C
  --vchan          also build the small image, for domains of Xen: TLS over vchan
                   alone
  --connections=N  how many connections one after another are measured; 1000
  --help           print this text

Missing packages are installed on Debian and named on other systems.  The build
goes into build-unikernel/, or into $FLOW_BUILD; keys, certificates and files go
into a private temporary directory that is removed at the end.  The exit code is
0 only if every file arrived intact, and 77 if QEMU, musl or the headers of Xen are missing.
USAGE
}

cd "$(dirname "$0")/../.." || exit 1
. tests/setup.sh
. examples/demo_files.sh

once=
vchan=
connections=1000
for argument; do
    case $argument in
    --once) once=yes ;;
    --vchan) vchan=yes ;;
    --connections=[1-9]*) connections=${argument#*=} ;;
    -h | --help)
        usage
        exit 0
        ;;
    *)
        usage >&2
        exit 2
        ;;
    esac
done

boots=7
memory=32
setup_tools build demo unikernel || exit 1
for tool in qemu-system-x86_64 musl-gcc; do
    command -v "$tool" >/dev/null && continue
    setup_say "skipped: $tool is missing"
    exit 77
done
[ -f /usr/include/xen/xen.h ] || {
    setup_say 'skipped: the headers of Xen are missing'
    exit 77
}
setup_step 'taking the source of mbedTLS' python3 tests/fetch_mbedtls.py || exit 1
setup_step 'taking the source of lwIP' python3 tests/fetch_lwip.py || exit 1

www=www.flow.test
paper=paper.flow.test
disk=disk.flow.test

dir=$(mktemp -d) || exit 1
chmod 700 "$dir"
machine=

clean_up() {
    trap - EXIT INT TERM HUP
    if [ -n "$machine" ] && kill "$machine" 2>/dev/null; then
        wait "$machine"
    fi
    rm -rf "$dir"
}
trap clean_up EXIT
trap 'clean_up; exit 130' INT
trap 'clean_up; exit 143' TERM HUP

# contents NAME FILE: what the image serves under the name.
contents() {
    make_certificate "$1"
    mkdir -p "$dir/contents/$1"
    mv "$dir/$1.pem" "$dir/contents/$1/cert.pem"
    mv "$dir/$1.key" "$dir/contents/$1/key.pem"
    mv "$dir/$2" "$dir/contents/$1/$2"
}

make_contents() {
    make_ca
    make_page
    make_pdf
    openssl rand -out "$dir/disk.bin" 16777216 2>"$dir/log" ||
        fail "cannot write 16 MB to $dir"
    contents "$www" index.html
    contents "$paper" paper.pdf
    contents "$disk" disk.bin
}

# size_of IMAGE: its KiB without what it serves.
size_of() {
    echo $((($(wc -c <"$1") - $(cat "$dir"/contents/*/* | wc -c)) / 1024))
}

# configure DIRECTORY CROSS-FILES OPTION...: Meson reads a cross file only when it
# configures a new directory, so after a change the directory is made anew.
configure() {
    place=$1
    crosses=$2
    shift 2
    # shellcheck disable=SC2086 # a list of files
    sum=$({ cat $crosses; echo "$@"; } | cksum)
    wipe=
    if [ -f "$place/build.ninja" ]; then
        [ "$(cat "$place/configured" 2>/dev/null)" != "$sum" ] || return 0
        wipe=--wipe
    fi
    for file in $crosses; do
        set -- "$@" --cross-file "$file"
    done
    setup_step "configuring $place" meson setup $wipe "$place" "$@" || exit 1
    echo "$sum" >"$place/configured"
}

# The library is built without an operating system.
build_image() {
    build=${FLOW_BUILD:-$PWD/build-unikernel}
    jobs=${FLOW_JOBS:-$(nproc 2>/dev/null || echo 2)}
    configure "$build" examples/unikernel/musl.cross -Dtests=disabled \
        -Ddocs=disabled -Dmbedtls=bundled -Dlibcrypto=disabled \
        -Dipsec_mb=disabled -Dlwip=enabled -Dvchan=enabled \
        "-Dunikernel=$build/contents"
    ln -sfn "$dir/contents" "$build/contents" || exit 1
    setup_step "building in $build" ninja -j "$jobs" -C "$build" \
        examples/unikernel/unikernel-site examples/unikernel/unikernel-faults ||
        exit 1
    strip -o "$dir/image" "$build/examples/unikernel/unikernel-site" || exit 1
    size=$(size_of "$dir/image")
}

build_vchan_image() {
    small=$build-small
    configure "$small" \
        'examples/unikernel/musl.cross examples/unikernel/small.cross' \
        -Dtests=disabled -Ddocs=disabled -Dmbedtls=bundled \
        -Dlibcrypto=disabled -Dipsec_mb=disabled -Dvchan=enabled \
        "-Dunikernel=$small/contents"
    ln -sfn "$dir/contents" "$small/contents" || exit 1
    setup_step "building in $small" ninja -j "$jobs" -C "$small" \
        examples/unikernel/unikernel-vchan || exit 1
    strip -o "$dir/vchan" "$small/examples/unikernel/unikernel-vchan" || exit 1
}

free_port() {
    python3 -c 'import socket
with socket.create_server(("127.0.0.1", 0)) as s:
    print(s.getsockname()[1])'
}

# Sets $machine.  What is written to descriptor 3 is typed on the console.
boot() {
    port=$(free_port)
    plain_port=$(free_port)
    mkfifo "$dir/keys"
    python3 examples/unikernel/boot.py --memory "$memory" --https "$port" \
        --http "$plain_port" "$dir/image" <"$dir/keys" >"$dir/console" 2>&1 &
    machine=$!
    exec 3>"$dir/keys"
    until grep -q '^listening on ' "$dir/console"; do
        kill -0 "$machine" 2>/dev/null || {
            cat "$dir/console" >&2
            fail 'the image did not start'
        }
        sleep 0.1
    done
}

# Types Ctrl-C and waits for the end.
power_off() {
    printf '\003' >&3
    exec 3>&-
    wait "$machine"
    status=$?
    machine=
    [ "$status" -eq 1 ] || code=1 # see boot.py
}

# row NAME FILE
row() {
    sent=$(hash_of <"$dir/contents/$1/$2")
    got=$(curl --silent --show-error --fail --noproxy '*' \
        --cacert "$dir/ca.pem" --connect-to "$1:$port:127.0.0.1:$port" \
        --write-out '%{stderr}%{time_total}\n' "https://$1:$port/" \
        2>"$dir/told" | hash_of)
    if [ "$got" = "$sent" ]; then
        verdict=$(LC_ALL=C printf 'ok %.3f s' "$(tail -n 1 "$dir/told")")
    else
        verdict="DIFFERS: $(tail -n 1 "$dir/told")"
        code=1
    fi
    printf '%-16s %-11s %10d  %s\n' "$1" "$2" \
        "$(wc -c <"$dir/contents/$1/$2")" "$verdict"
}

redirect_row() {
    moved=$(curl --silent --noproxy '*' --output /dev/null \
        --connect-to "$www:$plain_port:127.0.0.1:$plain_port" \
        --write-out '%{http_code} %{redirect_url}' \
        "http://$www:$plain_port/a?b" 2>>"$dir/log")
    if [ "$moved" = "301 https://$www:$port/a?b" ]; then
        verdict=ok
    else
        verdict="FAILED: $moved"
        code=1
    fi
    printf '%-16s %-11s %10s  %s\n' "$www" redirect - "$verdict"
}

setup_say 'making keys, certificates, a page, a PDF and a file of 16 MB'
make_contents
build_image
[ -z "$vchan" ] || build_vchan_image
boot
setup_say "serving on 127.0.0.1:$port, redirecting on 127.0.0.1:$plain_port"
echo

code=0
printf '%-16s %-11s %10s  %s\n' NAME RESOURCE BYTES CURL
row "$www" index.html
row "$paper" paper.pdf
row "$disk" disk.bin
redirect_row
echo
if [ -z "$once" ]; then
    echo 'Serving until Ctrl-C.'
    trap 'echo' INT
    wait "$machine"
    trap 'clean_up; exit 130' INT
fi
power_off
setup_say 'the console:'
cat "$dir/console"
echo
setup_step 'breaking a rule in each of many boots' sh \
    examples/unikernel/test/faults.sh \
    "$build/examples/unikernel/unikernel-faults" || code=1
setup_step 'lying to the driver of the network card' python3 \
    examples/unikernel/test/hostile.py \
    "$build/examples/unikernel/unikernel-site" || code=1
setup_step 'taking the random bytes away, and resuming copies' python3 \
    examples/unikernel/test/entropy.py "$dir/image" "$www" || code=1
echo "image: $size KiB without what it serves"
[ -z "$vchan" ] ||
    echo "image for vchan alone, in $small: $(size_of "$dir/vchan") KiB"
python3 examples/unikernel/boot.py --memory "$memory" --boots "$boots" \
    "$dir/image" || code=1
python3 examples/unikernel/figures.py --ca "$dir/ca.pem" --name "$www" \
    --connections "$connections" "$dir/image" || code=1
[ "$code" -eq 0 ] || fail 'not everything is as it should be'
echo 'Every file arrived as it was sent (SHA-256).'
