#!/bin/sh
# SPDX-License-Identifier: ISC
#
# The demo: builds the library and its programs, serves a page, a PDF and a large
# file over HTTPS under three names, fetches all of them with curl and with
# flow-fetch, and compares the hashes.

usage() {
    cat <<'USAGE'
usage: sh examples/demo.sh [--once]

  --once   exit after the table instead of serving until Ctrl-C
  --help   print this text

Missing packages are installed on Debian and named on other systems.  The build
goes into build-demo/, or into $FLOW_BUILD; keys, certificates and files go into
a private temporary directory that is removed at the end.  The exit code is 0
only if every file arrived intact.
USAGE
}

cd "$(dirname "$0")/.." || exit 1
. tests/setup.sh
. examples/demo_files.sh

once=
for argument; do
    case $argument in
    --once) once=yes ;;
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

setup_tools build demo || exit 1
setup_mbedtls || exit 1

build=${FLOW_BUILD:-build-demo}
jobs=${FLOW_JOBS:-$(nproc 2>/dev/null || echo 2)}
if [ ! -f "$build/build.ninja" ]; then
    setup_step "configuring $build" meson setup "$build" \
        --buildtype=release -Dexamples=enabled -Dtests=disabled \
        -Ddocs=disabled -Dbenchmarks=disabled || exit 1
fi
setup_step "building in $build" ninja -j "$jobs" -C "$build" \
    examples/flow-site examples/flow-fetch || exit 1
PATH=$PWD/$build/examples:$PATH
case $build in /*) PATH=$build/examples:$PATH ;; esac

www=www.flow.test
paper=paper.flow.test
disk=disk.flow.test

dir=$(mktemp -d) || exit 1
chmod 700 "$dir"
site=

clean_up() {
    trap - EXIT INT TERM HUP
    if [ -n "$site" ] && kill "$site" 2>/dev/null; then
        wait "$site"
    fi
    rm -rf "$dir"
}
trap clean_up EXIT
trap 'clean_up; exit 130' INT
trap 'clean_up; exit 143' TERM HUP

# 176 MB of incompressible data.
make_disk() {
    openssl rand -out "$dir/disk.bin" 176000000 2>"$dir/log" ||
        fail "cannot write 176 MB to $dir (set TMPDIR to a directory with enough space)"
}

start_site() {
    : >"$dir/out"
    flow-site --listen 127.0.0.1:0 --redirect 127.0.0.1:0 \
        --cert "$dir/$www.pem" --key "$dir/$www.key" \
        --cert "$dir/$paper.pem" --key "$dir/$paper.key" \
        --cert "$dir/$disk.pem" --key "$dir/$disk.key" \
        --serve "$www=$dir/index.html" --serve "$paper=$dir/paper.pdf" \
        --serve "$disk=$dir/disk.bin" --default "$www" \
        >"$dir/out" 2>>"$dir/log" &
    site=$!
    until grep -q '^listening on ' "$dir/out"; do
        kill -0 "$site" 2>/dev/null || fail 'flow-site did not start'
        sleep 0.1
    done
    port=$(sed -n 's/^listening on .*://p' "$dir/out")
    plain_port=$(sed -n 's/^redirecting on .*://p' "$dir/out")
}

# with_curl NAME, with_flow_fetch NAME: print the body, and write
# "VERSION SECONDS" to $dir/told.
with_curl() {
    curl --silent --show-error --verbose --fail --noproxy '*' \
        --cacert "$dir/ca.pem" --connect-to "$1:$port:127.0.0.1:$port" \
        --write-out '%{stderr}time %{time_total}\n' "https://$1:$port/" \
        2>"$dir/curl" || {
        echo failed >"$dir/told"
        cat "$dir/curl" >>"$dir/log"
        return
    }
    echo "$(sed -n 's/^\* SSL connection using \([^ ]*\).*/\1/p' "$dir/curl")" \
        "$(sed -n 's/^time //p' "$dir/curl")" >"$dir/told"
}

with_flow_fetch() {
    flow-fetch --quiet --verbose --ca "$dir/ca.pem" \
        --connect "127.0.0.1:$port" "https://$1:$port/" 2>"$dir/fetch" || {
        echo failed >"$dir/told"
        cat "$dir/fetch" >>"$dir/log"
        return
    }
    echo "$(sed -n 's/^\(TLSv[^ ]*\) .*/\1/p' "$dir/fetch")" \
        "$(sed -n 's/^[0-9]* bytes in \([^ ]*\) s$/\1/p' "$dir/fetch")" \
        >"$dir/told"
}

# verdict COMMAND NAME HASH: sets $verdict and $version.
verdict() {
    got=$("$1" "$2" | hash_of)
    read -r version seconds <"$dir/told"
    if [ "$version" = failed ]; then
        verdict=FAILED
        version=-
    elif [ "$got" != "$3" ]; then
        verdict=DIFFERS
    else
        verdict=$(LC_ALL=C printf 'ok %.3f s' "$seconds")
        return
    fi
    code=1
}

# row NAME FILE
row() {
    sent=$(hash_of <"$dir/$2")
    verdict with_curl "$1" "$sent"
    by_curl=$verdict
    verdict with_flow_fetch "$1" "$sent"
    printf '%-16s %-11s %10d  %-8s %-12s %-12s\n' "$1" "$2" \
        "$(wc -c <"$dir/$2")" "$version" "$by_curl" "$verdict"
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
    printf '%-16s %-11s %10s  %-8s %s\n' "$www" redirect - plain "$verdict"
}

setup_say 'making keys, certificates, a page, a PDF and a file of 176 MB'
make_ca
for name in "$www" "$paper" "$disk"; do
    make_certificate "$name"
done
make_page
make_pdf
make_disk
start_site
setup_say "serving on 127.0.0.1:$port, redirecting on 127.0.0.1:$plain_port"
echo

code=0
printf '%-16s %-11s %10s  %-8s %-12s %-12s\n' \
    NAME RESOURCE BYTES TLS CURL FLOW-FETCH
row "$www" index.html
row "$paper" paper.pdf
row "$disk" disk.bin
redirect_row
echo
[ "$code" -eq 0 ] || fail 'not every file arrived as it was sent'
echo 'Every file arrived as it was sent (SHA-256).'
[ -z "$once" ] || exit 0

cat <<TEXT

Still serving.  In another terminal:

  curl --cacert $dir/ca.pem \\
    --connect-to $paper:$port:127.0.0.1:$port https://$paper:$port/ -o paper.pdf
  $build/examples/flow-fetch --ca $dir/ca.pem -o disk.bin \\
    --connect 127.0.0.1:$port https://$disk:$port/

Press Ctrl-C to stop.
TEXT
trap 'clean_up; exit 0' INT
wait "$site"
site=
fail 'flow-site has exited'
