#!/bin/sh
# SPDX-License-Identifier: ISC
#
# Installs the packages that the tests need (on other systems than Debian it only
# names them), builds the library and runs its tests.

usage() {
    cat <<'USAGE'
usage: sh tests/run.sh [--all] [--xen] [--setup=NAME] [--suite=NAME...]
                       [MESON OPTION...]

  --all         also run the suites "slow" and "xen", and the other suites a
                second time with another build of mbedTLS and its ciphers only;
                takes several times as long
  --xen         also boot Xen under QEMU and run the full Xen tests
  --setup=NAME  how to run the tests: asan, tsan, valgrind
  --suite=NAME  run only this suite; may be repeated
  --help        print this text

Other options are passed to "meson setup", for example -Db_sanitize=address.
The build goes into build-run/, or into $FLOW_BUILD.  The last line says how
many tests passed and failed; the exit code is 0 only if none failed.
USAGE
}

cd "$(dirname "$0")/.." || exit 1
. tests/setup.sh

all=
xen=
how=
setup=
options=
for argument; do
    case $argument in
    --all) all=yes ;;
    --xen) xen=yes ;;
    -h | --help)
        usage
        exit 0
        ;;
    # The options are used unquoted in a command line.
    *[!A-Za-z0-9_=,.:/+@-]*)
        echo "run.sh: cannot pass this to meson: $argument" >&2
        exit 2
        ;;
    --setup=*)
        how="$how $argument"
        setup=-${argument#--setup=}
        ;;
    --suite=*) how="$how $argument" ;;
    -*) options="$options $argument" ;;
    *)
        usage >&2
        exit 2
        ;;
    esac
done

setup_tools build test || exit 1
setup_mbedtls || exit 1
setup_lwip

build=${FLOW_BUILD:-build-run}
jobs=${FLOW_JOBS:-$(nproc 2>/dev/null || echo 2)}
results=

# configure DIRECTORY OPTION...
configure() {
    directory=$1
    shift
    if [ -f "$directory/build.ninja" ]; then
        setup_step "configuring $directory again" \
            meson setup --reconfigure "$directory" "$@"
    else
        setup_step "configuring $directory" meson setup "$directory" "$@"
    fi
}

# suite NAME DIRECTORY OPTION...: configure, build and test, and record the result
# under NAME.
suite() {
    name=$1
    directory=$2
    shift 2
    # The name of meson's log has the name of the setup.
    log=$directory/meson-logs/testlog$setup.json
    results="$results $name=$log"
    rm -f "$log"
    configure "$directory" "$@" || return
    set --
    # A setup finds defects while tests run, so what they do not need is not built.
    if [ -z "$setup" ]; then
        ninja -j "$jobs" -C "$directory" || return
        set -- --no-rebuild
    fi
    [ -n "$all" ] || set -- "$@" --no-suite slow
    [ -n "$all$xen" ] || set -- "$@" --no-suite xen
    [ -n "$xen" ] || set -- "$@" --no-suite xen-full
    # shellcheck disable=SC2086 # words without blanks, see above
    meson test -C "$directory" --print-errorlogs $how "$@"
}

# Test with an mbedTLS that is not libflow's own build, and with its ciphers only.  If
# the machine has none that is recent enough, one is built from the pinned source in
# its stock configuration.
suite_system_mbedtls() {
    set -- -Dmbedtls=system -Dipsec_mb=disabled -Dlibcrypto=disabled "$@"
    if setup_mbedtls_system; then
        suite system-mbedtls "$build-system" "$@"
        return
    fi
    stock=$PWD/$build-stock
    case $build in /*) stock=$build-stock ;; esac
    if ! setup_step 'building mbedTLS in its stock configuration' \
        python3 tests/stock_mbedtls.py --jobs "$jobs" \
        "$(echo subprojects/mbedtls-3*/)" "$stock"; then
        results="$results system-mbedtls=missing"
        return
    fi
    PKG_CONFIG_PATH=$stock/lib/pkgconfig suite system-mbedtls \
        "$build-system" "$@"
}

# shellcheck disable=SC2086 # words without blanks, see above
suite main "$build" $options
# Neither the slow tests nor those of the sources depend on the build of mbedTLS.
if [ -n "$all" ]; then
    all=
    how="$how --no-suite sources"
    # shellcheck disable=SC2086
    suite_system_mbedtls $options
fi

# shellcheck disable=SC2086
exec python3 tests/summary.py $results
