"""Which addresses are public, and which spellings of a URL are taken."""

import ipaddress

import pytest

from shared.security.fetching import errors, every_failure, read_url
from shared.security.fetching.addresses import is_public, is_within

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "93.184.215.14",
    "172.15.255.255",
    "172.32.0.1",
    "100.63.255.255",
    "2606:4700::1111",
    "2a00:1450:4001:81b::200e",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
]
NOT_PUBLIC = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.9",
    "192.0.0.192",
    "192.0.2.1",
    "192.31.196.1",
    "192.52.193.1",
    "192.80.8.124",
    "192.88.99.1",
    "192.168.1.1",
    "192.175.48.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",  # 127.0.0.1 in the old way
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::808:808",
    "100::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",  # Teredo
    "2001:1::1",
    "2001:3::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2620:4f:8000::1",
    "2002:7f00:1::1",  # 6to4 of 127.0.0.1
    "2002:808:808::1",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fe80::1",
    "fe80::1%eth0",
    "2606:4700::1111%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_internet_is_public(address):
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_of_ours_is_not_public_however_it_is_written(address):
    assert not is_public(ipaddress.ip_address(address))


def test_a_network_is_known_through_an_ipv4_address_inside_ipv6():
    assert is_within(ipaddress.ip_address("::ffff:10.1.2.3"), [ipaddress.ip_network("10.0.0.0/8")])
    assert not is_within(ipaddress.ip_address("::ffff:11.1.2.3"), [ipaddress.ip_network("10.0.0.0/8")])


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("https://example.com", "https://example.com/"),
        ("HTTPS://Example.COM:443/a/B?c=D#part", "https://example.com/a/B?c=D"),
        ("http://example.com.:80/", "http://example.com/"),
        ("http://example.com:8080/x", "http://example.com:8080/x"),
        ("https://bücher.example/ä ?ö".replace(" ", ""), "https://xn--bcher-kva.example/%C3%A4?%C3%B6"),
        ("https://example.com/a%20b/%C3%A4", "https://example.com/a%20b/%C3%A4"),
        ("https://my_files.example.com/", "https://my_files.example.com/"),
        ("http://93.184.215.14/x", "http://93.184.215.14/x"),
        ("http://１.１.１.１/", "http://1.1.1.1/"),
        ("http://[2606:4700:0:0::1111]:8080/x", "http://[2606:4700::1111]:8080/x"),
        ("https://example.com?q=1", "https://example.com/?q=1"),
    ],
)
def test_a_url_has_one_normal_form(url, normal):
    assert read_url(url).url == normal
    assert read_url(normal).url == normal


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com/x",
        "//example.com/x",
        "http:///x",
        "http:example.com",
        "ftp://example.com/x",
        "file:///etc/passwd",
        "gopher://example.com/",
        "javascript:alert(1)",
        "http://user@example.com/",
        "http://user:word@example.com/",
        "http://example.com:80@10.0.0.1/",
        "http://bücher@example.com/",
        "http://example.com\\@10.0.0.1/",
        "http://exa mple.com/",
        "http://example.com/a b",
        "http://example.com/a\r\nX: y",
        "\thttp://example.com/",
        "http://example.com\x00.evil.example/",
        "http://example.com/\ud800",
        "http://example.com/?\ud800",
        "http://\ud800.example/",
        "http://example.com:22/",
        "http://example.com:0/",
        "http://example.com:99999/",
        "http://example.com:x/",
        "http://127.1/",
        "http://127.0.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0x7f.0.0.1/",
        "http://0177.0.0.1/",
        "http://127.0.0.01/",
        "http://127.0.0.1.1/",
        "http://a.0x/",
        "http://256.1.1.1/",
        "http://[::1",
        "http://[::1%25eth0]/",
        "http://[fe80::1%eth0]/",
        "http://[127.0.0.1]/",
        "http://[v1.x]/",
        "http://-a.example/",
        "http://a..example/",
        "http://exam%70le.com/",
        "http://exam℀ple.com/",
        f"http://{'a' * 64}.example/",
        f"http://{'a.' * 130}example/",
        f"http://example.com/{'a' * 2000}",
        f"http://example.com/{'ä' * 400}",
    ],
)
def test_a_url_that_can_be_read_in_two_ways_is_invalid(url):
    with pytest.raises(errors.UrlInvalid):
        read_url(url)


def test_a_host_of_digits_from_other_scripts_is_the_address_that_it_looks_like():
    assert read_url("http://①②⑦.0.0.1/").host == "127.0.0.1"
    assert read_url("http://127。0。0。1/").host == "127.0.0.1"


def test_an_address_is_no_name_of_an_inner_network():
    assert not read_url("http://[2606:4700::1111]/").is_inner_name
    assert not read_url("http://1.1.1.1/").is_inner_name
    assert read_url("http://wiki/").is_inner_name


def test_a_port_that_is_not_allowed_is_named():
    with pytest.raises(errors.UrlInvalid, match="port 6379"):
        read_url("http://example.com:6379/")


def test_every_failure_has_a_code_of_its_own_a_sentence_and_an_action():
    failures = every_failure()

    assert len({failure.code for failure in failures}) == len(failures) == 9
    assert all(len(failure.code) <= 40 for failure in failures)
    assert all(failure.sentence().endswith(".") and len(failure.sentence()) <= 200 for failure in failures)
    assert all(failure.action.endswith(".") and len(failure.action) <= 200 for failure in failures)
    assert all("action" in vars(failure) for failure in failures)
