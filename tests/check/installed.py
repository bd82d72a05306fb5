#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Use libflow as one who installed it: installed.py BUILD CC CXX BACKENDS
[ENGINE].

Installs into a directory of its own, then compiles and runs a C and a C++
program with nothing but what "pkg-config --cflags --libs libflow" says, and
the C one once more with --static.  A program that loads and unloads the
library must survive the end of a thread that waited in it.  Looks for what is installed beside the
library: the guides, the terms of libflow and of what is compiled into it, and
the programs with their manual pages and completion.  What docs/installing.md
says of compiling a program is run as it stands there.

ENGINE is the object with the mbedTLS that is compiled in, before its names
were hidden.  A program that defines every one of them itself, as one with
another mbedTLS does, must link with either library, and the library must not
call its functions.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import blocks

# Also what the author of a backend has of the port.
PROGRAM = r"""
#include <flow/port.h>
#include <flow/posix.h>
#include <flow/version.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

static unsigned runs;

static void count(void)
{
    runs++;
}

static int lock_works(void)
{
    struct flow_lock lock;
    int free_again;

    flow_lock_init(&lock);
    flow_fork_block();
    flow_lock_acquire(&lock);
    flow_lock_release(&lock);
    flow_fork_unblock();
    free_again = flow_lock_try(&lock);
    if (free_again)
        flow_lock_release(&lock);
    flow_lock_fini(&lock);
    return free_again;
}

int main(void)
{
    static uint32_t state;
    struct flow_error err;

    printf("%s\n", flow_version());
    flow_once(count, &state);
    flow_once(count, &state);
    if (runs != 1 || flow_process() == 0 || !lock_works())
        return 2;
    if (flow_posix_error(&err, "mine", ECONNRESET, "reading failed", "x") !=
            FLOW_E_RESET || err.code != ECONNRESET)
        return 3;
    return strcmp(flow_version(), FLOW_VERSION_STRING) != 0;
}
"""


# Begins a handshake, for which the library needs most of its own mbedTLS.
OTHER_MBEDTLS = r"""
#include <flow/flow.h>
#include <flow/pair.h>
#include <flow/tls.h>

long mbedtls_version_get_number(void);

int main(void)
{
    struct flow_tls_config *config;
    struct flow *end[2], *tls;
    struct flow_error err;
    unsigned char hello[4096];
    size_t n;

    if (flow_tls_config_new_client(NULL, &config, &err) != FLOW_OK ||
        flow_tls_config_insecure_skip_verify(config, true) != FLOW_OK ||
        flow_pair_new(NULL, 65536, NULL, &end[0], &end[1]) != FLOW_OK ||
        flow_tls_wrap_client(config, end[0], "a.example", 0, &tls, &err) !=
            FLOW_OK)
        return 1;
    if (flow_open(tls) != FLOW_AGAIN ||
        flow_read(end[1], hello, sizeof(hello), &n) != FLOW_OK ||
        hello[0] != 22)
        return 2;
    flow_close(tls);
    flow_close(end[1]);
    flow_tls_config_unref(config);
    return mbedtls_version_get_number() == 42 ? 0 : 3;
}
"""

# Unloads the library while a thread is there that has waited in it.
PLUGIN = r"""
#include <flow/flow.h>
#include <flow/pair.h>

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

static void *library;
static pthread_barrier_t has_waited, is_unloaded;

static void look_up(const char *name, void *ret_function)
{
    void *found = dlsym(library, name);

    memcpy(ret_function, &found, sizeof(found));
}

static void *wait_for_nothing(void *ctx)
{
    enum flow_status (*pair_new)(const struct flow_env *, size_t,
                                 const struct flow_buf_policy *,
                                 struct flow **, struct flow **);
    enum flow_status (*wait)(struct flow *, uint32_t, uint32_t *);
    void (*set_timeout)(struct flow *, uint32_t, uint64_t);
    void (*close)(struct flow *);
    struct flow *end[2];
    int *waited = ctx;

    look_up("flow_pair_new", &pair_new);
    look_up("flow_wait", &wait);
    look_up("flow_set_timeout", &set_timeout);
    look_up("flow_close", &close);
    if (pair_new(NULL, 64, NULL, &end[0], &end[1]) == FLOW_OK) {
        set_timeout(end[0], FLOW_READ, 1000000);
        *waited = wait(end[0], FLOW_READY_READ, NULL) == FLOW_E_TIMEOUT;
        close(end[0]);
        close(end[1]);
    }
    pthread_barrier_wait(&has_waited);
    pthread_barrier_wait(&is_unloaded);
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    int waited = 0;

    library = dlopen(argv[argc - 1], RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        return 1;
    pthread_barrier_init(&has_waited, NULL, 2);
    pthread_barrier_init(&is_unloaded, NULL, 2);
    if (pthread_create(&thread, NULL, wait_for_nothing, &waited) != 0)
        return 2;
    pthread_barrier_wait(&has_waited);
    if (dlclose(library) != 0)
        return 3;
    pthread_barrier_wait(&is_unloaded);
    pthread_join(thread, NULL);
    return waited ? 0 : 4;
}
"""


def run(*command, **options):
    print("+", *command, flush=True)
    return subprocess.run(command, check=True, text=True, **options)


def output_of(*command, **options):
    return run(*command, stdout=subprocess.PIPE, **options).stdout


def install(build, root):
    run(
        "meson", "install", "--no-rebuild", "--quiet", "-C", build,
        "--destdir", root,
    )
    options = json.loads(
        output_of("meson", "introspect", "--buildoptions", build)
    )
    prefix = next(o["value"] for o in options if o["name"] == "prefix")
    (description,) = root.rglob("libflow.pc")
    # The one path that installing under another root leaves wrong.
    text = description.read_text()
    moved = str(root) + prefix
    description.write_text(re.sub(r"(?m)^prefix=.*$", "prefix=" + moved, text))
    return description.parent


def check_unloading(scratch, compiler, library, flags):
    source = scratch / "plugin.c"
    source.write_text(PLUGIN)
    program = str(scratch / "plugin")
    run(*compiler.split(), "-pthread", str(source), *flags("--cflags"),
        "-ldl", "-o", program)
    run(program, str(library))


def names_of(library):
    """What a linker sees of an object or an archive."""
    listed = output_of("nm", "-g", "--defined-only", library)
    return sorted({
        words[2] for words in map(str.split, listed.splitlines())
        if len(words) == 3
    })


def beside_another_mbedtls(scratch, compiler, where, engine, flags):
    theirs = [
        name for name in names_of(engine) if not name.startswith("flow_")
    ]
    if len(theirs) < 500:
        raise SystemExit("%s: that is not an mbedTLS" % engine)
    source = scratch / "beside.c"
    source.write_text(OTHER_MBEDTLS)
    other = scratch / "other_mbedtls.c"
    other.write_text("void abort(void);\n" + "".join(
        "long %s(void);\nlong %s(void) { %s }\n" % (
            name, name,
            "return 42;" if name == "mbedtls_version_get_number"
            else "abort();  /* called by libflow */ return 0;",
        ) for name in theirs
    ))
    program = str(scratch / "beside")
    sources = (str(source), str(other), "-fno-builtin", "-o", program)
    run(*compiler.split(), *sources, "-rdynamic", *flags("--cflags", "--libs"))
    run(program, env={**os.environ, "LD_LIBRARY_PATH": str(where)})
    run(*compiler.split(), *sources, "-static",
        *flags("--static", "--cflags", "--libs"))
    run(program)
    shown = [
        name for name in names_of(str(where / "libflow.a"))
        if not name.startswith("flow_")
    ]
    if shown:
        raise SystemExit("libflow.a shows: %s" % " ".join(shown[:20]))


def check_documents(root, bundled, backends):
    """What a package of libflow has to carry, with every link in it good."""
    (place,) = root.rglob("doc/libflow")
    wanted = ["LICENSE", "README.md", "docs/index.md", "docs/contract.md"]
    for name in wanted + (["LICENSE.mbedtls"] if bundled else []):
        if not (place / name).is_file():
            raise SystemExit("not installed: %s" % name)
    if bundled and "Mbed TLS files are provided under" not in (
        place / "LICENSE.mbedtls"
    ).read_text():
        raise SystemExit("LICENSE.mbedtls: not the terms of mbedTLS")
    if "lwip" in backends and "Swedish Institute of Computer Science" not in (
        place / "LICENSE.lwip"
    ).read_text():
        raise SystemExit("LICENSE.lwip: not the terms of lwIP")
    (overview,) = root.rglob("man7/flow.7")
    (header,) = root.rglob("include/flow/flow.h")
    conventions = re.findall(r"(?m)^ \* - \*\*([A-Za-z ]+)", header.read_text())
    for name in conventions or ["Conventions"]:
        if name not in overview.read_text():
            raise SystemExit("flow.7 lacks the convention %s" % name)
    for path in place.rglob("*.md"):
        for link in re.findall(r"\]\(([^)#\s]+)", path.read_text()):
            if "://" not in link and not (path.parent / link).exists():
                raise SystemExit("%s: link to %s, which is not installed" % (
                    path.relative_to(place), link))


def follow_the_guide(root, scratch, environment, backends):
    """Commands of the installed installing.md for users of the library."""
    (guide,) = root.rglob("docs/installing.md")
    directory = scratch / "reader"
    directory.mkdir()
    (directory / "program.c").write_text(PROGRAM)
    compiled = asked = 0
    for block in blocks.blocks(guide.read_text()):
        for command, _ in (
                blocks.commands(block) if block.language == "sh" else ()):
            if command.startswith("cc "):
                run("sh", "-c", command, cwd=directory, env=environment)
                run("./a.out", cwd=directory, env=environment)
                compiled += 1
            elif command.startswith("pkg-config "):
                told = output_of("sh", "-c", command, env=environment)
                if told.split() != backends.split():
                    raise SystemExit("%s: %s" % (command, told))
                asked += 1
    if (compiled, asked) != (2, 1):
        raise SystemExit("installing.md: %d programs and %d questions" % (
            compiled, asked))


def check_programs(root, where):
    """Each with its manual page and its completion, which know its options."""
    environment = {**os.environ, "LD_LIBRARY_PATH": str(where)}
    for program in sorted(root.rglob("bin/flow-*")):
        told = output_of(str(program), "-h", env=environment)
        if not told.startswith("usage: %s " % program.name):
            raise SystemExit("%s -h: %s" % (program.name, told))
        options = set(re.findall(r"(?m)(?:^|[ ,])(--?[a-z][a-z0-9.-]*)\b",
                                 told))
        (manual,) = root.rglob("man1/%s.1" % program.name)
        text = manual.read_text().replace("\\-", "-")
        (completion,) = root.rglob("completions/" + program.name)
        offered = set(output_of("bash", "-c", """
            . "$1"
            COMP_WORDS=("$2" -) COMP_CWORD=1
            _flow_programs "$2" - "$2"
            printf '%s\\n' "${COMPREPLY[@]}"
        """, "bash", str(completion), program.name).split())
        if options != offered:
            raise SystemExit("%s: --help or its completion alone has %s" % (
                program.name, " ".join(sorted(options ^ offered))))
        unexplained = [o for o in options if not re.search(
            r"(?m)^\.B.*[ \"]%s\b" % re.escape(o), text)]
        if unexplained:
            raise SystemExit("%s: not in its manual page: %s" % (
                program.name, " ".join(unexplained)))
        if shutil.which("groff"):
            wrong = subprocess.run(
                ["groff", "-ww", "-man", "-Tutf8", "-z", str(manual)],
                stderr=subprocess.PIPE, check=True, text=True).stderr
            if wrong:
                raise SystemExit("%s: %s" % (manual.name, wrong))


def main(arguments):
    build, c_compiler, cxx_compiler, backends = arguments[:4]
    engine = arguments[4] if len(arguments) > 4 else None
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        where = install(build, scratch / "root")
        check_documents(scratch / "root", bool(engine), backends.split())
        environment = dict(os.environ)
        environment["PKG_CONFIG_PATH"] = os.pathsep.join(
            filter(None, [str(where), environment.get("PKG_CONFIG_PATH")])
        )
        environment["LD_LIBRARY_PATH"] = str(where.parent)

        def flags(*words):
            return output_of(
                "pkg-config", *words, "libflow", env=environment
            ).split()

        told = flags("--variable=backends")
        if told != backends.split():
            raise SystemExit("backends, as pkg-config tells: %s" % told)
        for name, compiler in (
            ("user.c", c_compiler), ("user.cc", cxx_compiler),
        ):
            source = scratch / name
            source.write_text(PROGRAM)
            program = str(scratch / "program")
            run(*compiler.split(), "-Wall", "-Wextra", "-Werror", str(source),
                *flags("--cflags", "--libs"), "-o", program)
            run(program, env=environment)
            linked = output_of("ldd", program, env=environment)
            if "libflow.so" not in linked:
                raise SystemExit("not linked with the shared library")
            run(*compiler.split(), str(source), "-static",
                *flags("--static", "--cflags", "--libs"), "-o", program)
            run(program)
            # Whole archive: every undefined symbol must be found, not only
            # those that this small program happens to reach.
            run(*compiler.split(), str(source), "-static",
                "-Wl,--whole-archive", str(where.parent / "libflow.a"),
                "-Wl,--no-whole-archive",
                *flags("--static", "--cflags", "--libs"), "-o", program)
            run(program)
            if "not a dynamic" not in subprocess.run(
                ["ldd", program], stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, check=False, text=True,
            ).stdout:
                raise SystemExit("the static program is not static")
        check_unloading(
            scratch, c_compiler, where.parent / "libflow.so", flags
        )
        follow_the_guide(scratch / "root", scratch, environment, backends)
        check_programs(scratch / "root", where.parent)
        if engine:
            beside_another_mbedtls(
                scratch, c_compiler, where.parent, engine, flags
            )


if __name__ == "__main__":
    main(sys.argv[1:])
