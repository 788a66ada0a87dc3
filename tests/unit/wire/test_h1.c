// SPDX-License-Identifier: Apache-2.0
/*
 * test_h1.c: what HTTP/1 input tells, whole and in every cut: good messages, and the ways in which a request has been
 * smuggled past somebody.
 */
#include "h1_tale.h"

/* ---- requests */

static const struct row good_requests[] = {
	{ "plain", S("GET /v1/models HTTP/1.1\r\n" H "\r\n"), "GET /v1/models @a.example none\nend\n" },
	{ "fields keep order, case and inner blanks",
	  S("GET / HTTP/1.1\r\nX-b: 1\r\nHost:a.example:443\r\nx-A:\t two  words \t\r\nX-B:\r\n\r\n"),
	  "GET / @a.example:443 none\n X-b: 1\n x-A: two  words\n X-B: \nend\n" },
	{ "a length", S("POST /v1/x HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello"),
	  "POST /v1/x @a.example fixed=5\n Content-Length: 5\n[hello]\nend\n" },
	{ "length zero", S("POST / HTTP/1.1\r\n" H "content-length: 0\r\n\r\n"),
	  "POST / @a.example fixed=0\n content-length: 0\nend\n" },
	{ "length with leading zeros", S("POST / HTTP/1.1\r\n" H "content-length: 0003\r\n\r\nabc"),
	  "POST / @a.example fixed=3\n content-length: 0003\n[abc]\nend\n" },
	{ "chunks", S("POST / HTTP/1.1\r\n" H "Transfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n00A;x=\"y z\"\r\n0123456789\r\n0\r\n\r\n"),
	  "POST / @a.example chunked\n[hello0123456789]\nend\n" },
	{ "trailers are dropped",
	  S("POST / HTTP/1.1\r\n" H "Trailer: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: y\r\nContent-Length: 7\r\n\r\n"),
	  "POST / @a.example chunked\n[a]\nend\n" },
	{ "no chunk but the last", S("POST / HTTP/1.1\r\n" H "transfer-encoding: chunked\r\n\r\n0;e\r\n\r\n"),
	  "POST / @a.example chunked\nend\n" },
	{ "two in one", S("GET /1 HTTP/1.1\r\n" H "\r\nPOST /2 HTTP/1.1\r\n" H "Content-Length: 1\r\n\r\nxGET /3 HTTP/1.1\r\n" H "\r\n"),
	  "GET /1 @a.example none\nend\nPOST /2 @a.example fixed=1\n Content-Length: 1\n[x]\nend\nGET /3 @a.example none\nend\n" },
	{ "an empty line before it", S("\r\nGET / HTTP/1.1\r\n" H "\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n"),
	  "GET / @a.example none\nend\nGET / @a.example none\nend\n" },
	{ "close", S("GET / HTTP/1.1\r\n" H "Connection: Close\r\n\r\n"), "GET / @a.example none last\nend\n" },
	{ "hop-by-hop fields go",
	  S("GET / HTTP/1.1\r\n" H "X-A: 1\r\nx-hop: 2\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\nTrailer: x\r\n"
	    "Proxy-Connection: keep-alive\r\nConnection: keep-alive , X-HOP,, TE\r\nX-Hop: 3\r\n\r\n"),
	  "GET / @a.example none\n X-A: 1\nend\n" },
	{ "an upgrade is seen and goes",
	  S("GET / HTTP/1.1\r\n" H "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n"),
	  "GET / @a.example none upgrade\nend\n" },
	{ "a websocket upgrade", S("GET / HTTP/1.1\r\n" H "Upgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Key: x\r\n\r\n"),
	  "GET / @a.example none upgrade\n Sec-WebSocket-Key: x\nend\n" },
	{ "expect", S("POST / HTTP/1.1\r\n" H "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\nx"),
	  "POST / @a.example fixed=1 expect\n Content-Length: 1\n[x]\nend\n" },
	{ "1.0", S("GET / HTTP/1.0\r\n" H "\r\n"), "GET / @a.example none last 1.0\nend\n" },
	{ "1.0 kept alive", S("GET / HTTP/1.0\r\n" H "Connection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n" H "\r\n"),
	  "GET / @a.example none 1.0\nend\nGET / @a.example none last 1.0\nend\n" },
	{ "1.0 ignores expect", S("POST / HTTP/1.0\r\n" H "Expect: 100-continue\r\nContent-Length: 1\r\n\r\nx"),
	  "POST / @a.example fixed=1 last 1.0\n Content-Length: 1\n[x]\nend\n" },
	{ "options *", S("OPTIONS * HTTP/1.1\r\n" H "\r\n"), "OPTIONS * @a.example none\nend\n" },
	{ "latin bytes in a value", S("GET / HTTP/1.1\r\n" H "X: \xe9\xff\r\n\r\n"), "GET / @a.example none\n X: \xe9\xff\nend\n" },
	{ "a field that only looks like framing", S("GET / HTTP/1.1\r\n" H "Content-Lengthy: 5\r\nX-Transfer-Encoding: chunked\r\n\r\n"),
	  "GET / @a.example none\n Content-Lengthy: 5\n X-Transfer-Encoding: chunked\nend\n" },
	{ "an odd target", S("GET //x/..;a?b={\"c\":1}|[d]^ HTTP/1.1\r\n" H "\r\n"),
	  "GET //x/..;a?b={\"c\":1}|[d]^ @a.example none\nend\n" },
	{ "unfinished", S("GET / HTTP/1.1\r\n" H), "" },
	{ "body unfinished", S("POST / HTTP/1.1\r\n" H "Content-Length: 9\r\n\r\nabc"),
	  "POST / @a.example fixed=9\n Content-Length: 9\n[abc]\n" },
};

static void reads_good_requests(void **state)
{
	CHECK_ROWS(good_requests, .side = H1_REQUESTS);
}

#define R(fields) S("POST / HTTP/1.1\r\n" H fields "\r\n\r\n")
#define CHUNKED_IS "POST / @a.example chunked\n"
#define C(chunks) S("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n" chunks)
static const struct row bad_requests[] = {
	/* start line */
	{ "no version", S("GET /\r\n" H "\r\n"), NULL },
	{ "0.9", S("GET / HTTP/0.9\r\n" H "\r\n"), NULL },
	{ "1.2", S("GET / HTTP/1.2\r\n" H "\r\n"), NULL },
	{ "2.0", S("GET / HTTP/2.0\r\n" H "\r\n"), NULL },
	{ "lower-case version", S("GET / http/1.1\r\n" H "\r\n"), NULL },
	{ "long version", S("GET / HTTP/1.10\r\n" H "\r\n"), NULL },
	{ "other protocol", S("GET / ICE/1.0\r\n" H "\r\n"), NULL },
	{ "two blanks before target", S("GET  / HTTP/1.1\r\n" H "\r\n"), NULL },
	{ "two blanks behind target", S("GET /  HTTP/1.1\r\n" H "\r\n"), NULL },
	{ "a blank in the target", S("GET /a b HTTP/1.1\r\n" H "\r\n"), NULL },
	{ "a blank at the end", S("GET / HTTP/1.1 \r\n" H "\r\n"), NULL },
	{ "a blank at the start", S(" GET / HTTP/1.1\r\n" H "\r\n"), NULL },
	{ "a tab", S("GET\t/ HTTP/1.1\r\n" H "\r\n"), NULL },
	{ "a tab in the target", S("GET /a\tb HTTP/1.1\r\n" H "\r\n"), NULL },
	{ "no target", S("GET HTTP/1.1\r\n" H "\r\n"), NULL },
	{ "empty target", S("GET  HTTP/1.1\r\n" H "\r\n"), NULL },
	{ "no method", S("/ HTTP/1.1\r\n" H "\r\n"), NULL },
	{ "a method that is no token", S("GE(T / HTTP/1.1\r\n" H "\r\n"), NULL },
	{ "a method llhttp does not know", S("FETCH / HTTP/1.1\r\n" H "\r\n"), NULL },
	{ "lower-case method: llhttp", S("get / HTTP/1.1\r\n" H "\r\n"), NULL },
	{ "absolute form", S("GET http://b.example/ HTTP/1.1\r\n" H "\r\n"), NULL },
	{ "absolute form of another scheme", S("GET https:/a HTTP/1.1\r\n" H "\r\n"), NULL },
	{ "authority form", S("GET a.example:443 HTTP/1.1\r\n" H "\r\n"), NULL },
	{ "connect", S("CONNECT a.example:443 HTTP/1.1\r\n" H "\r\n"), NULL },
	{ "connect with a path", S("CONNECT / HTTP/1.1\r\n" H "\r\n"), NULL },
	{ "star for get", S("GET * HTTP/1.1\r\n" H "\r\n"), NULL },
	{ "star and more", S("OPTIONS *x HTTP/1.1\r\n" H "\r\n"), NULL },
	{ "a fragment", S("GET /a#b HTTP/1.1\r\n" H "\r\n"), NULL },
	{ "NUL in the target", S("GET /\0 HTTP/1.1\r\n" H "\r\n"), NULL },
	{ "high byte in the target", S("GET /\xe9 HTTP/1.1\r\n" H "\r\n"), NULL },
	{ "h2 preface", S("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), NULL },
	{ "TLS", S("\x16\x03\x01\x02\x00\x01\x00\n"), NULL },
	{ "two empty lines before it", S("\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n"), NULL },
	{ "bare LF before it", S("\nGET / HTTP/1.1\r\n" H "\r\n"), NULL },
	{ "bare CR before it", S("\rGET / HTTP/1.1\r\n" H "\r\n"), NULL },
	/* line ends */
	{ "bare LF ends the start line", S("GET / HTTP/1.1\n" H "\r\n"), NULL },
	{ "bare LF ends a field", S("GET / HTTP/1.1\r\nHost: a\n\r\n"), NULL },
	{ "bare LF ends the head", S("GET / HTTP/1.1\r\n" H "\n"), NULL },
	{ "all bare LF", S("GET / HTTP/1.1\nHost: a\n\n"), NULL },
	{ "CR in a value", R("X: a\rb"), NULL },
	{ "CR CR LF", R("X: a\r"), NULL },
	{ "CR in a name", R("X\r: a"), NULL },
	{ "head ended by CRLF CR and a byte", S("GET / HTTP/1.1\r\n" H "\rXGET /2 HTTP/1.1\r\n" H "\r\n"), NULL },
	{ "head ended by CRLF CR and a field", S("GET / HTTP/1.1\r\n" H "\rX: a\r\n\r\n"), NULL },
	/* names and values */
	{ "empty name", R(": a"), NULL },
	{ "blank before colon", R("X : a"), NULL },
	{ "tab before colon", R("X\t: a"), NULL },
	{ "no colon", R("X"), NULL },
	{ "folded line", R("X: a\r\n b"), NULL },
	{ "folded with a tab", R("X: a\r\n\tb"), NULL },
	{ "first field folded", S("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), NULL },
	{ "NUL in a value", R("X: a\0b"), NULL },
	{ "NUL in a name", R("X\0: a"), NULL },
	{ "escape in a value", R("X: \x1b[0m"), NULL },
	{ "DEL in a value", R("X: \x7f"), NULL },
	{ "vertical tab before a value", R("Content-Length:\v1"), NULL },
	{ "slash in a name", R("X/Y: a"), NULL },
	{ "high byte in a name", R("X\xe9: a"), NULL },
	{ "BOM before the first line", S("\xef\xbb\xbfGET / HTTP/1.1\r\n" H "\r\n"), NULL },
	/* Host */
	{ "no Host", S("GET / HTTP/1.1\r\n\r\n"), NULL },
	{ "no Host in 1.0", S("GET / HTTP/1.0\r\n\r\n"), NULL },
	{ "two Hosts", R("Host: a.example"), NULL },
	{ "two Hosts that differ", R("hOST: b.example"), NULL },
	{ "empty Host", S("GET / HTTP/1.1\r\nHost:\r\n\r\n"), NULL },
	{ "blank Host", S("GET / HTTP/1.1\r\nHost: \t \r\n\r\n"), NULL },
	{ "Host with userinfo", S("GET / HTTP/1.1\r\nHost: b@a.example\r\n\r\n"), NULL },
	{ "Host with a path", S("GET / HTTP/1.1\r\nHost: a.example/x\r\n\r\n"), NULL },
	{ "Host list", S("GET / HTTP/1.1\r\nHost: a.example, b.example\r\n\r\n"), NULL },
	/* lengths */
	{ "TE and CL", R("Transfer-Encoding: chunked\r\nContent-Length: 3"), NULL },
	{ "CL and TE", R("Content-Length: 3\r\nTransfer-Encoding: chunked"), NULL },
	{ "equal lengths twice", R("Content-Length: 0\r\nContent-Length: 0"), NULL },
	{ "two lengths", R("Content-Length: 0\r\ncontent-length: 5"), NULL },
	{ "length list", R("Content-Length: 0, 0"), NULL },
	{ "signed length", R("Content-Length: +0"), NULL },
	{ "negative length", R("Content-Length: -1"), NULL },
	{ "hex length", R("Content-Length: 0x0"), NULL },
	{ "empty length", R("Content-Length:"), NULL },
	{ "length with a blank", R("Content-Length: 0 0"), NULL },
	{ "length over 2^53", R("Content-Length: 9007199254740993"), NULL },
	{ "length over 2^64", R("Content-Length: 18446744073709551616"), NULL },
	{ "name with underscore passes, blank does not", R("Content-Length : 0"), NULL },
	{ "TE that is not chunked", R("Transfer-Encoding: gzip"), NULL },
	{ "TE of two", R("Transfer-Encoding: gzip, chunked"), NULL },
	{ "TE chunked twice", R("Transfer-Encoding: chunked, chunked"), NULL },
	{ "TE with a leading comma", R("Transfer-Encoding: ,chunked"), NULL },
	{ "TE with a trailing comma", R("Transfer-Encoding: chunked,"), NULL },
	{ "two TE fields", R("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), NULL },
	{ "two TE fields, one other", R("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked"), NULL },
	{ "TE identity", R("Transfer-Encoding: identity"), NULL },
	{ "empty TE", R("Transfer-Encoding:"), NULL },
	{ "quoted TE", R("Transfer-Encoding: \"chunked\""), NULL },
	{ "TE with a parameter", R("Transfer-Encoding: chunked;q=1"), NULL },
	{ "TE with a vertical tab", R("Transfer-Encoding: \vchunked"), NULL },
	{ "TE xchunked", R("Transfer-Encoding: xchunked"), NULL },
	{ "TE with a tab behind it, which llhttp does not take for chunked", R("Transfer-Encoding: chunked\t"), NULL },
	{ "length with a tab behind it, which llhttp refuses", R("Content-Length: 0\t"), NULL },
	{ "TE in 1.0", S("POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), NULL },
	/* Connection, Expect */
	{ "connection names host", R("Connection: host"), NULL },
	{ "connection names content-length", R("Connection: close, Content-Length\r\nContent-Length: 0"), NULL },
	{ "connection names transfer-encoding", R("Connection: transfer-encoding"), NULL },
	{ "connection names content-type", R("Connection: content-type"), NULL },
	{ "connection names authorization", R("Connection: Authorization"), NULL },
	{ "connection is no token", R("Connection: a b"), NULL },
	{ "connection of 17 options", R("Connection: a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q"), NULL },
	{ "another expectation", R("Expect: 200-ok"), NULL },
	{ "empty expectation", R("Expect:"), NULL },
	/* chunks */
	{ "chunk size ended by LF", C("1\na\r\n0\r\n\r\n"), CHUNKED_IS "bad\n" },
	{ "chunk size ended by CR and a byte", C("1\rXa\r\n0\r\n\r\n"), CHUNKED_IS "bad\n" },
	{ "chunk size with a blank", C("1 \r\na\r\n0\r\n\r\n"), CHUNKED_IS "bad\n" },
	{ "chunk size with a blank before", C(" 1\r\na\r\n0\r\n\r\n"), CHUNKED_IS "bad\n" },
	{ "chunk size signed", C("+1\r\na\r\n0\r\n\r\n"), CHUNKED_IS "bad\n" },
	{ "chunk size 0x", C("0x1\r\na\r\n0\r\n\r\n"), CHUNKED_IS "bad\n" },
	{ "chunk size underscore", C("1_0\r\na\r\n0\r\n\r\n"), CHUNKED_IS "bad\n" },
	{ "chunk size empty", C("\r\n0\r\n\r\n"), CHUNKED_IS "bad\n" },
	{ "chunk size only an extension", C(";a\r\n0\r\n\r\n"), CHUNKED_IS "bad\n" },
	{ "chunk size of 17 digits", C("00000000000000001\r\na\r\n0\r\n\r\n"), CHUNKED_IS "bad\n" },
	{ "chunk size that wraps", C("10000000000000001\r\na\r\n0\r\n\r\n"), CHUNKED_IS "bad\n" },
	{ "chunk size over 2^53", C("20000000000001\r\n"), CHUNKED_IS "bad\n" },
	{ "chunk longer than it says", C("1\r\nab\r\n0\r\n\r\n"), CHUNKED_IS "[a]\nbad\n" },
	{ "chunk shorter than it says", C("3\r\na\r\n0\r\n\r\n"), CHUNKED_IS "[a\r\n]\nbad\n" },
	{ "chunk ended by LF", C("1\r\na\n0\r\n\r\n"), CHUNKED_IS "[a]\nbad\n" },
	{ "chunk ended by CR", C("1\r\na\r0\r\n\r\n"), CHUNKED_IS "[a]\nbad\n" },
	{ "chunk ended by CR and a byte", C("1\r\na\rX0\r\n\r\n"), CHUNKED_IS "[a]\nbad\n" },
	{ "bare CR in an extension", C("1;a\rb\r\na\r\n0\r\n\r\n"), CHUNKED_IS "bad\n" },
	{ "bare LF in an extension", C("1;a\nb\r\na\r\n0\r\n\r\n"), CHUNKED_IS "bad\n" },
	{ "NUL in an extension", C("1;\0\r\na\r\n0\r\n\r\n"), CHUNKED_IS "bad\n" },
	{ "last chunk ended by LF", C("0\n\r\n"), CHUNKED_IS "bad\n" },
	{ "end without CR", C("0\r\n\n"), CHUNKED_IS "bad\n" },
	{ "end by CR and a byte", C("0\r\n\rX\r\n\r\n"), CHUNKED_IS "bad\n" },
	{ "a trailer that is none", C("0\r\nGET / HTTP/1.1\r\n\r\n"), CHUNKED_IS "bad\n" },
	{ "a folded trailer", C("0\r\nX: a\r\n b\r\n\r\n"), CHUNKED_IS "bad\n" },
	{ "a trailer with an empty name", C("0\r\n: a\r\n\r\n"), CHUNKED_IS "bad\n" },
	{ "a trailer with a CR", C("0\r\nX: a\rb\r\n\r\n"), CHUNKED_IS "bad\n" },
	/* what follows */
	{ "garbage behind a body", S("POST / HTTP/1.1\r\n" H "Content-Length: 1\r\n\r\nab"),
	  "POST / @a.example fixed=1\n Content-Length: 1\n[a]\nend\n" },
	{ "a request behind the last one", S("GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n"),
	  "GET / @a.example none last\nend\nbad\n" },
};

static void refuses_bad_requests(void **state)
{
	CHECK_ROWS(bad_requests, .side = H1_REQUESTS);
}

/* ---- responses */

static const struct row responses[] = {
	{ "plain", S("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"), "200 OK fixed=2\n Content-Length: 2\n[hi]\nend\n" },
	{ "chunked", S("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"), "200 OK chunked\n[hi]\nend\n" },
	{ "until the end", S("HTTP/1.1 200 OK\r\nX: y\r\n\r\nhi there"), "200 OK close last\n X: y\n[hi there]\nend\n" },
	{ "until the end, empty", S("HTTP/1.1 200 OK\r\n\r\n"), "200 OK close last\nend\n" },
	{ "long reason", S("HTTP/1.1 200 All is well\r\nContent-Length: 0\r\n\r\n"), "200 All is well fixed=0\n Content-Length: 0\nend\n" },
	{ "empty reason", S("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"), "200  fixed=0\n Content-Length: 0\nend\n" },
	{ "no reason, no blank", S("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"), "200  fixed=0\n Content-Length: 0\nend\n" },
	{ "two", S("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 404 No\r\nContent-Length: 1\r\n\r\nb"),
	  "200 OK fixed=1\n Content-Length: 1\n[a]\nend\n404 No fixed=1\n Content-Length: 1\n[b]\nend\n" },
	{ "close", S("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na"),
	  "200 OK fixed=1 last\n Content-Length: 1\n[a]\nend\n" },
	{ "continue and hints before it",
	  S("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na"),
	  "100 Continue none\nend\n103 Early Hints none\n Link: x\nend\n200 OK fixed=1\n Content-Length: 1\n[a]\nend\n" },
	{ "204", S("HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"),
	  "204 No Content none\nend\n204 No Content none\n Content-Length: 0\nend\n" },
	{ "304 names a length", S("HTTP/1.1 304 Same\r\nContent-Length: 9\r\n\r\nHTTP/1.1 304 Same\r\n\r\n"),
	  "304 Same fixed=9\n Content-Length: 9\nend\n304 Same none\nend\n" },
	{ "1.0", S("HTTP/1.0 200 OK\r\n\r\nabc"), "200 OK close last 1.0\n[abc]\nend\n" },
	{ "upgrade offered", S("HTTP/1.1 200 OK\r\nUpgrade: h2\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n"),
	  "200 OK fixed=0 upgrade\n Content-Length: 0\nend\n" },
	{ "cut in the head", S("HTTP/1.1 200 OK\r\nX"), "bad\n" },
	{ "cut in the body", S("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab"), "200 OK fixed=3\n Content-Length: 3\n[ab]\nbad\n" },
	{ "cut before the last chunk", S("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n"), "200 OK chunked\n[hi]\nbad\n" },
	{ "cut in the trailers", S("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"), "200 OK chunked\nbad\n" },
	{ "TE and CL", S("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n"), NULL },
	{ "TE of another kind", S("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"), NULL },
	{ "TE in 1.0", S("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), NULL },
	{ "204 with a length", S("HTTP/1.1 204 No\r\nContent-Length: 1\r\n\r\na"), NULL },
	{ "100 with a length", S("HTTP/1.1 100 Go\r\nContent-Length: 1\r\n\r\na"), NULL },
	{ "204 with chunks", S("HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), NULL },
	{ "101", S("HTTP/1.1 101 Switch\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"), NULL },
	{ "status 099", S("HTTP/1.1 099 X\r\n\r\n"), NULL },
	{ "status of four digits", S("HTTP/1.1 2000 X\r\n\r\n"), NULL },
	{ "status of letters", S("HTTP/1.1 2x0 X\r\n\r\n"), NULL },
	{ "control byte in the reason", S("HTTP/1.1 200 O\x01K\r\n\r\n"), NULL },
	{ "CR in the reason", S("HTTP/1.1 200 O\rK\r\n\r\n"), NULL },
	{ "bare LF", S("HTTP/1.1 200 OK\nContent-Length: 0\n\n"), NULL },
	{ "an empty line first", S("\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), NULL },
	{ "version 2", S("HTTP/2 200 OK\r\n\r\n"), NULL },
	{ "two lengths", S("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"), NULL },
	{ "bytes behind the last", S("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nab"),
	  "200 OK fixed=1 last\n Content-Length: 1\n[a]\nend\nbad\n" },
};

static void reads_responses(void **state)
{
	CHECK_ROWS(responses, .side = H1_RESPONSES, .eof = true);
}

static const struct row answers_to_head[] = {
	{ "length without body", S("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"),
	  "200 OK fixed=2\n Content-Length: 2\nend\n200 OK fixed=2\n Content-Length: 2\n[hi]\nend\n" },
	{ "chunked without body", S("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), "200 OK none\nend\n" },
	{ "no length", S("HTTP/1.1 200 OK\r\n\r\n"), "200 OK none\nend\n" },
	{ "interim does not count", S("HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"),
	  "100 Go none\nend\n200 OK fixed=2\n Content-Length: 2\nend\n" },
};

static void reads_answers_to_head(void **state)
{
	CHECK_ROWS(answers_to_head, .side = H1_RESPONSES, .answers_head = true, .eof = true);
}

/* ---- bounds */

static bool is_taken(struct str in, enum h1_side side)
{
	struct h1 *p = h1_new(side);
	struct str rest = in, body;
	enum h1_fact fact;

	do
		fact = h1_next(p, &rest, &body, NULL);
	while (fact != H1_BAD && fact != H1_MORE);
	h1_free(p);
	free((char *)(uintptr_t)in.p);
	return fact == H1_MORE;
}

static void keeps_its_bounds(void **state)
{
	static const char chunked[] = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
	const size_t around = strlen("GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n");

	/* The whole head */
	assert_true(is_taken(repeat("GET / HTTP/1.1\r\nHost: a\r\nX: ", "x", HTTP_HEAD_MAX - around, "\r\n\r\n"), H1_REQUESTS));
	assert_false(is_taken(repeat("GET / HTTP/1.1\r\nHost: a\r\nX: ", "x", HTTP_HEAD_MAX - around + 1, "\r\n\r\n"), H1_REQUESTS));
	assert_false(is_taken(repeat("", "G", HTTP_HEAD_MAX + 1, ""), H1_REQUESTS));
	/* Fields, Host included */
	assert_true(is_taken(repeat("GET / HTTP/1.1\r\nHost: a\r\n", "a:\r\n", HTTP_FIELDS_MAX - 1, "\r\n"), H1_REQUESTS));
	assert_false(is_taken(repeat("GET / HTTP/1.1\r\nHost: a\r\n", "a:\r\n", HTTP_FIELDS_MAX, "\r\n"), H1_REQUESTS));
	/* Chunk extensions: one chunk, and many small ones */
	assert_true(is_taken(repeat("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;", "x", 256, "\r\na\r\n0\r\n\r\n"), H1_REQUESTS));
	assert_false(is_taken(repeat("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;", "x", 257, "\r\na\r\n0\r\n\r\n"), H1_REQUESTS));
	assert_true(is_taken(repeat(chunked, "1;xxxxxxxx\r\na\r\n", 2048, "0\r\n\r\n"), H1_REQUESTS));
	assert_false(is_taken(repeat(chunked, "1;xxxxxxxx\r\na\r\n", 2049, "0\r\n\r\n"), H1_REQUESTS));
	/* Trailers */
	assert_true(is_taken(repeat("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "x: yyyy\r\n", 1800, "\r\n"), H1_REQUESTS));
	assert_false(is_taken(repeat("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "x: yyyy\r\n", 1900, "\r\n"), H1_REQUESTS));
	/* Interim answers */
	assert_true(is_taken(repeat("", "HTTP/1.1 100 Go\r\n\r\n", 16, "HTTP/1.1 204 No\r\n\r\n"), H1_RESPONSES));
	assert_false(is_taken(repeat("", "HTTP/1.1 100 Go\r\n\r\n", 17, "HTTP/1.1 204 No\r\n\r\n"), H1_RESPONSES));
}

/* ---- states */

static void knows_when_it_is_idle(void **state)
{
	struct h1 *p = h1_new(H1_REQUESTS);
	struct str in = STR("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), body;
	struct str one = { in.p, 1 };

	assert_true(h1_is_idle(p));
	assert_int_equal(h1_eof(p, NULL), H1_MORE);
	assert_int_equal(h1_next(p, &one, &body, NULL), H1_MORE);
	assert_false(h1_is_idle(p));
	in.p++, in.n--;
	assert_int_equal(h1_next(p, &in, &body, NULL), H1_HEAD);
	assert_false(h1_is_idle(p));
	assert_int_equal(h1_next(p, &in, &body, NULL), H1_END);
	assert_true(h1_is_idle(p));
	/* A head stays valid while the next is being collected. */
	in = STR("POST /other HTTP/1.1\r\nHost: b.example\r\nX: 1\r\n");
	assert_int_equal(h1_next(p, &in, &body, NULL), H1_MORE);
	assert_true(str_eq(h1_head(p)->authority, STR("a")));
	assert_int_equal(h1_eof(p, NULL), H1_BAD);
	h1_free(p);
	h1_free(NULL);
}

static void leaves_the_next_message_alone(void **state)
{
	struct h1 *p = h1_new(H1_REQUESTS);
	struct str in = STR("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhiGET / HTTP/1.1\r\nHost: a\r\n\r\n"), body;

	assert_int_equal(h1_next(p, &in, &body, NULL), H1_HEAD);
	assert_true(str_starts(in, STR("hiGET")));
	assert_int_equal(h1_next(p, &in, &body, NULL), H1_BODY);
	assert_true(str_eq(body, STR("hi")));
	assert_true(str_starts(in, STR("GET")));
	assert_int_equal(h1_next(p, &in, &body, NULL), H1_END);
	assert_true(str_starts(in, STR("GET")));
	h1_free(p);
}

static void stays_bad_and_says_why(void **state)
{
	struct h1 *p = h1_new(H1_REQUESTS);
	struct str in = STR("GET / HTTP/1.1\r\nHost: a\r\nsecret value\r\n\r\n"), body;
	struct err e = { "" };

	assert_int_equal(h1_next(p, &in, &body, &e), H1_BAD);
	assert_non_null(strstr(e.text, "line 3"));
	assert_null(strstr(e.text, "secret"));
	in = STR("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	e.text[0] = '\0';
	assert_int_equal(h1_next(p, &in, &body, &e), H1_BAD);
	assert_non_null(strstr(e.text, "line 3"));
	assert_int_equal(h1_eof(p, &e), H1_BAD);
	assert_false(h1_is_idle(p));
	h1_free(p);
}

/* How long the sender keeps the connection, as far as it said and as it can be read. */
static void keep_alive_hints(void **state)
{
	static const struct {
		const char *line;
		int s;
	} cases[] = {
		{ "", 0 },
		{ "Keep-Alive: timeout=5\r\n", 5 },
		{ "keep-alive: max=100, timeout=72\r\n", 72 },
		{ "Keep-Alive: TIMEOUT=5 , max\r\n", 5 },
		{ "Keep-Alive: timeout=99999999\r\n", 86400 },
		{ "Keep-Alive: timeout=0\r\n", 0 },
		{ "Keep-Alive: timeout=-5\r\n", 0 },
		{ "Keep-Alive: timeout=\r\n", 0 },
		{ "Keep-Alive: timeout=5x, =, ,\r\n", 0 },
		{ "Keep-Alive: timeout=99999999999999999999999\r\n", 0 },
		{ "Keep-Alive:\r\n", 0 },
	};
	struct h1 *p = h1_new(H1_RESPONSES);

	/* One connection: no answer inherits from the one before. */
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[200];
		struct str body = { 0 };
		struct err e = { 0 };

		(void)snprintf(text, sizeof(text), "HTTP/1.1 200 OK\r\n%sContent-Length: 0\r\n\r\n", cases[i].line);
		struct str in = str_of(text);

		print_message("%s", cases[i].line);
		assert_int_equal(h1_next(p, &in, &body, &e), H1_HEAD);
		assert_int_equal(h1_head(p)->keep_alive_s, cases[i].s);
		assert_int_equal(h1_next(p, &in, &body, &e), H1_END);
	}
	h1_free(p);
}

/* ---- and what was written */

/* What is written is what was read: head for head, for all good requests. */
static void reads_what_it_wrote(void **state)
{
	for (size_t i = 0; i < sizeof(good_requests) / sizeof(good_requests[0]); i++) {
		struct h1 *p = h1_new(H1_REQUESTS), *again = h1_new(H1_REQUESTS);
		struct str in = good_requests[i].in, body, second;
		const struct http_head *a, *b;
		struct buf out;

		buf_init(&out, 1 << 20);
		if (h1_next(p, &in, &body, NULL) == H1_HEAD) {
			a = h1_head(p);
			assert_int_equal(h1_write_request(&out, a), 0);
			second = (struct str){ buf_ptr(&out), buf_len(&out) };
			assert_int_equal(h1_next(again, &second, &body, NULL), H1_HEAD);
			assert_int_equal(second.n, 0);
			b = h1_head(again);
			assert_true(str_eq(a->method, b->method) && str_eq(a->target, b->target));
			assert_true(str_eq(a->authority, b->authority));
			assert_int_equal(a->length, b->length);
			assert_int_equal(a->content_length, b->content_length);
			assert_int_equal(a->keep_alive, b->keep_alive);
			assert_false(b->upgrade || b->expect_continue);
		}
		buf_done(&out);
		h1_free(p);
		h1_free(again);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_good_requests),
		cmocka_unit_test(refuses_bad_requests),
		cmocka_unit_test(reads_responses),
		cmocka_unit_test(reads_answers_to_head),
		cmocka_unit_test(keeps_its_bounds),
		cmocka_unit_test(knows_when_it_is_idle),
		cmocka_unit_test(leaves_the_next_message_alone),
		cmocka_unit_test(stays_bad_and_says_why),
		cmocka_unit_test(reads_what_it_wrote),
		cmocka_unit_test(keep_alive_hints),
	};

	print_message("seed %u\n", CUTS_SEED);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
