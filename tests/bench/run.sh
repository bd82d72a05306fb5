#!/bin/sh
# SPDX-License-Identifier: ISC
#
# Measures libflow beside other libraries and programs and prints the table.

usage() {
    cat <<'USAGE'
usage: sh tests/bench/run.sh [JSON]

  JSON     where to write the figures, too (build-bench/performance.json)
  --help   this text

Installs what the build needs (on Debian; elsewhere says what to install) and
makes a release build in build-bench/, with a stock mbedTLS to compare with.
nginx, stunnel and hitch are not installed, because Debian's packages start
servers: rows of what is missing are left out.  Takes some minutes; nothing
else should run on the machine.
USAGE
}

cd "$(dirname "$0")/../.." || exit 1
. tests/setup.sh

case ${1-} in
-h | --help)
    usage
    exit 0
    ;;
-*)
    usage >&2
    exit 2
    ;;
esac
build=build-bench
json=${1:-$build/performance.json}

setup_tools build test bench || exit 1
setup_mbedtls_source || exit 1
[ -f "$build/build.ninja" ] ||
    setup_step "configuring $build" meson setup "$build" \
        --buildtype=release -Dmbedtls=bundled -Dbenchmarks=enabled || exit 1
setup_step 'compiling' ninja -C "$build" || exit 1
setup_step 'compiling mbedTLS in its stock configuration' \
    python3 tests/stock_mbedtls.py --static \
    "$(echo subprojects/mbedtls-3*/)" "$build/stock" || exit 1
module=$build/peer_mbedtls.so
cc -std=c11 -O2 -D_GNU_SOURCE -shared -fPIC -Wl,-Bsymbolic \
    -I"$build/stock/include" -o "$module" tests/bench/peer_mbedtls.c \
    "$build/stock/lib/libmbedtls.a" "$build/stock/lib/libmbedx509.a" \
    "$build/stock/lib/libmbedcrypto.a" -Wl,--exclude-libs,ALL || exit 1
exec python3 tests/bench/table.py "$build" "$json" "$PWD/$module"
