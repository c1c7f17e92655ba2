# SPDX-License-Identifier: BSD-2-Clause
"""A client of the control socket, for tests."""
import json
import socket


class Qmp:
    def __init__(self, path, negotiate=True):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(path)
        self.file = self.sock.makefile("rb")
        self.events = []
        self.count = 0
        self.greeting = self.receive()
        if negotiate:
            self.command("qmp_capabilities")

    def close(self):
        self.file.close()
        self.sock.close()

    def receive(self):
        line = self.file.readline()
        if not line:
            raise EOFError
        return json.loads(line)

    def send(self, data):
        self.sock.sendall(data)

    def ask(self, name, **arguments):
        """The whole answer; events that come before it are kept."""
        self.count += 1
        request = {"execute": name, "id": self.count}
        if arguments:
            request["arguments"] = {k.replace("_", "-"): v for k, v in arguments.items()}
        self.send(json.dumps(request).encode())
        while True:
            answer = self.receive()
            if "event" in answer:
                self.events.append(answer)
                continue
            assert answer.get("id") == self.count, answer
            return answer

    def command(self, name, **arguments):
        answer = self.ask(name, **arguments)
        assert "return" in answer, answer
        return answer["return"]

    def error(self, name, **arguments):
        answer = self.ask(name, **arguments)
        assert "error" in answer, answer
        assert set(answer["error"]) == {"class", "desc"}, answer
        return answer["error"]["class"]

    def line(self, text):
        return self.command("human-monitor-command", command_line=text)

    def event(self, name):
        """The next one of this name."""
        while not any(e["event"] == name for e in self.events):
            self.events.append(self.receive())
        while (event := self.events.pop(0))["event"] != name:
            pass
        assert set(event["timestamp"]) == {"seconds", "microseconds"}, event
        return event.get("data")
