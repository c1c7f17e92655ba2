#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A VNC viewer for tests (RFC 6143): vnc.py PORT [KEYSYM...]

Sends the keys, waits until the picture is as they say (the guest of display.test shows
them), and prints the size and how many pixels are lit. Ends with 2 if a password
is asked for, 1 if the picture does not change within 30 seconds.
"""
import socket
import struct
import sys
import time


def main():
    port, keys = int(sys.argv[1]), [int(k, 0) for k in sys.argv[2:]]
    s = socket.create_connection(("127.0.0.1", port), 30)

    def take(n):
        data = b""
        while len(data) < n:
            more = s.recv(n - len(data))
            if not more:
                sys.exit("the server has gone")
            data += more
        return data

    if take(4) != b"RFB ":
        sys.exit("no VNC server")
    take(8)
    s.sendall(b"RFB 003.003\n")
    (security,) = struct.unpack(">I", take(4))
    if security != 1:
        print("security", security)
        sys.exit(2 if security == 2 else 1)
    s.sendall(b"\1")
    width, height = struct.unpack(">HH", take(4))
    take(16)
    take(struct.unpack(">I", take(4))[0])

    def picture():
        s.sendall(struct.pack(">BBHi", 2, 0, 1, 0))
        s.sendall(struct.pack(">BBHHHH", 3, 0, 0, 0, width, height))
        while True:
            kind = take(1)[0]
            if kind == 0:
                break
            if kind == 3:
                take(3)
                take(struct.unpack(">I", take(4))[0])
        lit = 0
        for _ in range(struct.unpack(">xH", take(3))[0]):
            _, _, w, h, encoding = struct.unpack(">HHHHi", take(12))
            if encoding != 0:
                sys.exit("not what was asked for")
            data = take(4 * w * h)
            lit += sum(data[i:i + 3] != b"\0\0\0" for i in range(0, len(data), 4))
        return lit

    before = picture()
    for key in keys:
        for down in (1, 0):
            s.sendall(struct.pack(">BBHI", 4, down, 0, key))
    lit, end = before, time.time() + 30
    while keys and lit == before and time.time() < end:
        time.sleep(0.2)
        lit = picture()
    print(width, height, lit)
    sys.exit(1 if keys and lit == before else 0)


main()
