"""The client's side of the service: JSON over HTTP, errors as `CommandError`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.errors import FAILED, UNREACHABLE, USER, CommandError

if TYPE_CHECKING:
    import ssl

    import httpx

ANSWER, CONNECT = 60.0, 5.0
"""Seconds that the service may take."""


class Client:
    """One user's view of one service. `url` ends in the API's base path; ours lies beside it, at the origin. `keys`: the public and the secret API key."""

    def __init__(self, url: str, user: str, password: str, transport: httpx.BaseTransport | None = None, *, insecure: bool = False, ca: str = "", token: str = "", keys: tuple[str, str] | None = None) -> None:
        import httpx  # here, since commands that need no service (serve above all) must not wait for it

        from cli.signing import Signed

        self.url = url.rstrip("/")
        self.password, self._insecure, self._ca, self._keys = password, insecure, ca, keys
        self._patient = httpx.Timeout(None, connect=CONNECT)
        self._origin = str(httpx.URL(self.url).copy_with(path="/", query=None)).rstrip("/")
        verify = _verify(insecure, ca) if self.url.startswith("https:") else True
        auth = httpx.BasicAuth(user, password) if keys is None else Signed(*keys, base=httpx.URL(self.url).path)
        # Who supervises another logs in with a name that has both, and asks for the other's.
        self.user = user.rpartition("\\")[2]
        self._http = httpx.Client(verify=verify, auth=auth, timeout=httpx.Timeout(ANSWER, connect=CONNECT), transport=transport, headers={"Accept": "application/json", "User-Agent": "forgelet", **({"X-Forgelet-Token": token} if token else {})}, trust_env=False)

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, **query: Any) -> Any:
        """Of a path below the user, such as `images/3`."""
        # An empty dictionary would take away the query that `path` may have.
        return self._json("GET", self._mine(path), params=query or None)

    def post(self, path: str, body: Any, *, patient: bool = False) -> Any:
        """`patient`: the service asks mirrors before it answers, which may take minutes."""
        return self._json("POST", self._mine(path), json=body, **({"timeout": self._patient} if patient else {}))

    def put(self, path: str, body: Any) -> Any:
        return self._json("PUT", self._mine(path), json=body)

    def upload(self, path: str, file: Path) -> Any:
        """POST a file as it is, as a stream."""
        with file.open("rb") as contents:
            headers = {"Content-Type": "application/gzip"}
            return self._json("POST", self._mine(path), content=contents, headers=headers, timeout=self._patient)

    def delete(self, path: str) -> None:
        self._json("DELETE", self._mine(path))

    def shared(self, path: str, **query: Any) -> Any:
        """Of a path that belongs to no user, such as `distributions/3`."""
        return self._json("GET", f"{self.url}/{path}", params=query or None)

    def control(self, method: str, path: str, body: Any = None, /, **query: Any) -> Any:
        """Of a path below `/_forgelet`."""
        return self._json(method, f"{self._origin}/_forgelet/{path}", params=query, **({} if body is None else {"json": body}))

    def lines(self, path: str, **query: Any) -> Iterator[str]:
        """A stream below the user, line by line."""
        with self._stream(self._mine(path), query) as response:
            yield from response.iter_lines()

    def text(self, path: str) -> str:
        """Of a path below the user, as it is."""
        url = self._mine(path)
        with self._told(url):
            response = self._http.get(url)
        if response.is_error:
            raise _refusal(response)
        return response.text

    def log(self, job_id: int, follow: bool) -> Iterator[str]:
        """The log of a job, as it comes."""
        with self._stream(f"{self._origin}/_forgelet/jobs/{job_id}/log", {"follow": follow}) as response:
            yield from response.iter_text()

    def download(self, path: str, into: Path, **query: Any) -> Iterator[tuple[int, int]]:
        """Write a stream below the user into a file; tells bytes done and bytes in all. The file is there only when it is whole; what
        broke off is continued by the next call (`cli.download`)."""
        yield from self._download(self._mine(path), into, query)

    def _download(self, url: str, into: Path, query: dict[str, Any]) -> Iterator[tuple[int, int]]:
        from cli.download import Download

        yield from Download(into).run(lambda headers: self._stream(url, query, headers))

    def control_upload(self, path: str, file: Path, **query: Any) -> Any:
        """POST a file below `/_forgelet`, as a stream."""
        with file.open("rb") as contents:
            return self._json("POST", f"{self._origin}/_forgelet/{path}", content=contents, params=query, timeout=self._patient)

    def patiently(self, method: str, path: str, **query: Any) -> Any:
        """As `control`, for what takes as long as it takes."""
        return self._json(method, f"{self._origin}/_forgelet/{path}", params=query, timeout=self._patient)

    def control_download(self, path: str, into: Path) -> Iterator[tuple[int, int]]:
        """As `download`, below `/_forgelet`; for the owner only."""
        into.with_name(into.name + ".partial").touch(mode=0o600)
        yield from self._download(f"{self._origin}/_forgelet/{path}", into, {})

    def events(self, path: str, **query: Any) -> Iterator[str]:
        """The data of server-sent events below `/_forgelet`, as they come."""
        with self._stream(f"{self._origin}/_forgelet/{path}", query) as response:
            for line in response.iter_lines():
                if line.startswith("data: "):
                    yield line.removeprefix("data: ")

    def raw(self, method: str, path: str, headers: dict[str, str], content: bytes, *, anonymous: bool = False) -> httpx.Response:
        """Any request to the service's origin, and its answer, whatever that says; `anonymous`: without a login."""
        import httpx

        auth = None if anonymous else httpx.USE_CLIENT_DEFAULT
        with self._told(self._origin):
            return self._http.request(method, self._origin + path, headers=headers, content=content, auth=auth)

    def elsewhere(self, url: str, user: str, password: str) -> Client:
        """A client of another service; who asks is the same unless it is said otherwise."""
        return Client(url, user or self.user, password or self.password, insecure=self._insecure, ca=self._ca, keys=None if user or password else self._keys)

    def _mine(self, path: str) -> str:
        return f"{self.url}/users/{self.user}/{path}".rstrip("/")

    def _json(self, method: str, url: str, **request: Any) -> Any:
        with self._told(url):
            response = self._http.request(method, url, **request)
        if response.is_error:
            raise _refusal(response)
        return response.json() if response.content else None

    @contextmanager
    def _stream(self, url: str, query: dict[str, Any], headers: dict[str, str] | None = None) -> Iterator[httpx.Response]:
        with self._told(url), self._http.stream("GET", url, params=query, headers=headers, timeout=self._patient) as response:
            if response.is_error:
                response.read()
                raise _refusal(response)
            yield response

    @contextmanager
    def _told(self, url: str) -> Iterator[None]:
        import httpx

        try:
            yield
        except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            raise CommandError(f"'{self.url}' is not a URL of a service", hint="such as http://127.0.0.1:8090/api") from error
        except httpx.TransportError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                hint = "--ca FILE (tls/certificate.pem in the service's data folder), or --insecure"
                raise CommandError(f"the certificate of {self.url} is not trusted", hint=hint, exit_code=UNREACHABLE) from error
            raise CommandError(f"no service answers at {self.url} ({error})", hint="forgelet serve", exit_code=UNREACHABLE) from error


def _verify(insecure: bool, ca: str) -> ssl.SSLContext | bool:
    if insecure:
        return False
    if not ca:
        return True
    import ssl

    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise CommandError(f"the certificate {ca} cannot be read: {error}", hint="--ca FILE: tls/certificate.pem in the service's data folder") from error


def _refusal(response: httpx.Response) -> CommandError:
    try:
        said = response.json()["uforgeError"]
        return CommandError(said["localizedErrorMsg"]["message"], hint=said["hint"], problems=said["problems"], exit_code=said["exitCode"])
    except (ValueError, KeyError, TypeError):
        code = FAILED if response.status_code >= 500 else USER
        return CommandError(f"{response.url} answers {response.status_code}, but not as Forgelet does", hint="check --url", exit_code=code)
