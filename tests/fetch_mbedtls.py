#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Put the source of mbedTLS where the build looks for it: fetch_source.py."""

import fetch_source

MBEDTLS = fetch_source.Source(
    "mbedtls", "mbedTLS 3.6 >= 3.6.7", ("forky", "sid", "trixie"),
    oldest=(3, 6, 7), below=(3, 7), shown="library",
)

if __name__ == "__main__":
    fetch_source.main(
        MBEDTLS, "install mbedTLS 3.6 (3.6.7 or later) with its headers"
    )
