/* SPDX-License-Identifier: ISC */
/* first_program ENDPOINT HOST: GET / over TLS or any other endpoint. */
#include <stdio.h>

#include <flow/endpoint.h>
#include <flow/util.h>

int
main(int argc, char **argv)
{
    const char *endpoint = argc > 1 ? argv[1] : "tls+tcp://example.org:443";
    const char *host = argc > 2 ? argv[2] : "example.org";
    struct flow_error err;
    struct flow *f;
    char buf[4096], text[256];
    enum flow_status st;
    size_t n;

    st = flow_endpoint_dial(NULL, endpoint, NULL, &f, &err);
    if (st == FLOW_OK) {
        n = (size_t)snprintf(buf, sizeof(buf),
                             "GET / HTTP/1.0\r\nHost: %s\r\n\r\n", host);
        st = flow_write_all(f, buf, n, NULL); /* connects, verifies, writes */
        while (st == FLOW_OK) {
            st = flow_read_wait(f, buf, sizeof(buf), &n);
            fwrite(buf, 1, n, stdout);
        }
        flow_get_error(f, FLOW_READ, &err);
        flow_close(f);
    }
    if (st == FLOW_EOF) /* authenticated by TLS; truncation is an error */
        return 0;
    flow_error_format(&err, text, sizeof(text));
    fprintf(stderr, "%s: %s\n", endpoint, text);
    return 1;
}
