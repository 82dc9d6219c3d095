// Makes tests/golden/text_formats/table.json: formats of JSON Schema, texts, and whether they are such: as ajv-formats says
// (mode `full`), and what the format's RFC asks for beyond that.
//
//   node text_formats.mjs > ../golden/text_formats/table.json     (ajv, ajv-formats of tests/package.json)
import Ajv from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

const ajv = new Ajv({ strict: false });
addFormats(ajv);

let state = 99n;
function below(n) {
	state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn;
	return Number((state >> 33n) % BigInt(n));
}
const pick = (list) => list[below(list.length)];

const coded = (host) => host.split(".").some((label) => label.slice(2, 4) === "--");

// RFC 3339: a separator T, an offset with a colon, leap seconds at the end of June or December in UTC (here: and whole
// hours of offset).
function time(text, date) {
	const m = /^(\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:[Zz]|([+-])(\d\d):(\d\d))$/.exec(text);
	if (!m) return false;
	if (m[3] !== "60") return true;
	if (m[6] && m[6] !== "00") return false;
	const offset = m[4] ? (m[4] === "-" ? -1 : 1) * Number(m[5]) : 0;
	const minutes = (Number(m[1]) - offset) * 60 + Number(m[2]);
	if ((minutes + 1440) % 1440 !== 1439) return false;
	if (!date) return true;
	const utc = new Date(Date.parse(date + "T12:00:00Z") + Math.floor(minutes / 1440) * 86400000);
	return ["06-30", "12-31"].includes(utc.toISOString().slice(-19, -14));
}
// RFC 3986: what begins with two slashes has an authority (ajv-formats may read it as a path), nothing else has (it may
// read one after a single slash).
function authority(text) {
	const m = /^(?:[^:/?#]*:)?\/\/([^/?#]*)/.exec(text);
	return !m ? !/[[\]]/.test(text) : /^(?:[^@[\]]*@)?(?:\[[^\]]*\]|[^:@[\]]*)(?::\d*)?$/.test(m[1]);
}
const BEYOND = {
	"date": () => true,
	"time": (t) => time(t),
	"date-time": (t) => /^.{10}[Tt]/.test(t) && time(t.slice(11), t.slice(0, 10)),
	"duration": (t) => !/Y\d+D|H\d+S/.test(t),
	"email": (t) => t.indexOf("@") <= 64 && t.length - t.indexOf("@") <= 254 && !coded(t.slice(t.indexOf("@") + 1)) &&
		t.slice(t.indexOf("@") + 1).split(".").every((label) => label.length <= 63),
	"hostname": (t) => !t.endsWith(".") && !coded(t),
	"ipv4": () => true,
	"ipv6": () => true,
	"uuid": (t) => !/^urn:/i.test(t),
	"uri": (t) => !t.includes('"') && authority(t),
	"uri-reference": (t) => !t.includes('"') && authority(t) && (!/^[^/?#]*:/.test(t) || /^[a-z][a-z0-9+.-]*:/i.test(t)),
	"uri-template": (t) => !/\{[=,!@|]/.test(t) && !/[\u007f-\u009f]/.test(t),
	// By a name whose characters are ASCII, with what RFC 3986 lets stand elsewhere.
	"url": (t) => /^[a-z]+:\/\/(?:(?:[\w\-.~!$&'()*+,;=:]|%[0-9a-f]{2})+@)?[a-z0-9.-]*[a-z](?::\d+)?(?:\/|$)/i.test(t) &&
		/^(?:[\w\-.~!$&'()*+,;=:@/]|%[0-9a-f]{2})*(?:\?(?:[\w\-.~!$&'()*+,;=:@/?]|%[0-9a-f]{2})*)?(?:#(?:[\w\-.~!$&'()*+,;=:@/?]|%[0-9a-f]{2})*)?$/i.test(t),
	// RFC 4648: bits that say nothing are 0.
	"byte": (t) => Buffer.from(t, "base64").toString("base64") === t,
	"json-pointer": () => true,
	"relative-json-pointer": () => true,
};

const SEEDS = {
	"date": ["2024-02-29", "2023-02-29", "1900-02-29", "2000-02-29", "2024-04-31", "2024-12-31", "0000-02-29", "2024-13-01", "2024-01-00"],
	"time": ["12:30:45Z", "23:59:60Z", "00:00:00.000+23:59", "15:59:60-08:00", "08:59:60+09:00", "12:30:45", "12:30:45+0100",
		"22:59:60Z", "24:00:00Z", "23:59:60.5+00:00", "00:59:60+01:00", "23:59:61Z", "08:29:60+08:30"],
	"date-time": ["2024-02-29T12:30:45Z", "1998-12-31T23:59:60Z", "1998-12-30T23:59:60Z", "1990-06-30T15:59:60-08:00",
		"1999-01-01T08:59:60+09:00", "2024-01-01 12:30:45Z", "2024-01-01t00:00:00.123456-00:00", "2023-02-29T12:30:45Z",
		"2015-07-01T00:59:60+01:00", "2015-06-30T00:59:60+01:00", "2024-01-01T12:30Z"],
	"duration": ["P1Y2M3DT4H5M6S", "P4W", "PT0S", "P1Y", "P1YT1S", "P1M2D", "P1Y2D", "PT1H2S", "P", "PT", "P1W2D", "P1D2H"],
	"email": ["joe.bloggs@example.com", "a@b.co", "te~st@example.com", ".a@b.co", "a..b@c.de", "a@b", "a@-b.com", "a@xn--b.com",
		"a".repeat(64) + "@b.co", "a".repeat(65) + "@b.co", "a@" + "b".repeat(63) + ".co", "a@" + "b".repeat(64) + ".co",
		"a@" + "b.".repeat(126) + "b", "a@" + "b.".repeat(126) + "bc"],
	"hostname": ["www.example.com", "a", "a.b-c.d", "xn--4gbwdl.xn--wgbh1c", "-a.b", "a-.b", "a..b", "a.b.", "a_b.c", "ab--cd.de",
		"a".repeat(63), "a".repeat(64), "a.".repeat(126) + "b", "a.".repeat(126) + "bc", "127.0.0.1"],
	"ipv4": ["127.0.0.1", "255.255.255.255", "256.1.1.1", "1.2.3", "01.2.3.4", "1.2.3.4.5"],
	"ipv6": ["::1", "::", "1:2:3:4:5:6:7:8", "1::8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1:2:3:4:5:6:1.2.3.4", "::ffff:1.2.3.4",
		"1:2:3:4:5::1.2.3.4", "1::2::3", "12345::", "1:2:3:4:5:6:7", "::1%eth0", "1:2:3:4:5:6:7:1.2.3.4", "fe80::0204:61ff:254.157.241.86"],
	"uuid": ["2eb8aa08-aa98-11ea-b4aa-73b441d16380", "2EB8AA08-AA98-11EA-B4AA-73B441D16380", "urn:uuid:2eb8aa08-aa98-11ea-b4aa-73b441d16380",
		"2eb8aa08aa9811eab4aa73b441d16380"],
	"uri": ["http://foo.bar/?baz=qux#quux", "mailto:John.Doe@example.com", "urn:oasis:names:specification:docbook:dtd:xml:4.1.2",
		"ldap://[2001:db8::7]/c=GB?objectClass?one", "tel:+1-816-555-1212", "http://user:pa%20ss@example.com:8080/a/b;c=1", "//foo.bar/",
		"/abs/path", "a:", "http://[v7.a:b]/", "file:///etc/passwd", "http://a/%zz", "http://a b", "http://127.0.0.01/", 'http://a/"'],
	"uri-reference": ["http://foo.bar/", "//foo.bar/x", "/abs", "a/b:c", "a:b", ":a", "#frag", "?q", "", "1a:b", "../x", "a:", "\\\\WINDOWS", "[a]"],
	"uri-template": ["http://example.com/dictionary/{term:1}/{term}", "{+path}/here", "{?x,y*}", "{", "{}", "{a.b}", "{=a}", "a%2fb", "é{x}", "{x:10000}"],
	"url": ["http://foo.com/blah_(wikipedia)_(again)#c?1", "https://user:pw@a-b.co:8080/x?y=z", "http://a.b", "ftp://foo.bar/baz", "http://localhost/",
		"http://142.42.1.1/", "http://10.1.1.1", "HTTP://A.CO", "http://a.co?q", "http://-a.co", "http://a--b.co/", "http://a.co:1/", "gopher://a.co", "http://a.co/%"],
	"byte": ["", "TWFu", "TWE=", "TQ==", "TR==", "TWF=", "TW=", "T===", "TWFu\nTWFu", "+/9a", "-_9a"],
	"json-pointer": ["", "/foo/0", "/a~1b", "/a~0b", "/~", "/~2", "foo", "/é", "//"],
	"relative-json-pointer": ["0", "1/0", "0#", "120/foo/bar", "01", "-1", "0##", "/a", "2/~", ""],
};
const CHARS = [..."0123456789abcdefABFTtZzPDHMSWY:.-+/#?@[]{}%~_,;=*! \"\\é"];

function changed(text) {
	const chars = [...text], at = below(chars.length + 1);
	switch (below(5)) {
	case 0: chars.splice(at, 1); break;
	case 1: chars.splice(at, 0, pick(CHARS)); break;
	case 2: if (at < chars.length) chars[at] = pick(CHARS); break;
	case 3: if (at < chars.length) chars[at] = pick([...text]); break;
	default: chars.splice(at, 0, ...chars.slice(below(chars.length + 1), below(chars.length + 1)));
	}
	return chars.join("");
}

const rows = [];
for (const [format, seeds] of Object.entries(SEEDS)) {
	const is = ajv.compile({ type: "string", format }), texts = new Set(seeds);
	for (let i = 0; i < 300; i++) {
		let text = pick(seeds);
		for (let k = below(3); k >= 0; k--) text = changed(text);
		texts.add(text);
	}
	const verdicts = [...texts].map((t) => [t, is(t) && BEYOND[format](t) ? 1 : 0]);
	rows.push(JSON.stringify([format, Object.fromEntries(verdicts.filter(([t]) => !/^\d+$/.test(t)))]));
}
process.stdout.write(`[\n${rows.join(",\n")}\n]\n`);
