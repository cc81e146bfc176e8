// Text forms: what the strict parsers accept and refuse, and what the printers write.
#include "base/text.hpp"

#include <doctest/doctest.h>

#include "base/hash.hpp"

namespace benchfs {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span{text.data(), text.size()});
}

std::string text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST_SUITE("text") {
  TEST_CASE("parse_size: bytes and binary units") {
    CHECK(parse_size("0") == 0u);
    CHECK(parse_size("4096") == 4096u);
    CHECK(parse_size("17B") == 17u);
    CHECK(parse_size("64KiB") == 64 * kKiB);
    CHECK(parse_size("4 MiB") == 4 * kMiB);
    CHECK(parse_size(" 1GiB ") == kGiB);
    CHECK(parse_size("16777215TiB") == 16777215 * kTiB);
  }

  TEST_CASE("parse_size: everything else is refused with the reason") {
    CHECK(parse_size("4MB").error() == "unknown unit \"MB\"");
    CHECK(parse_size("4m").error() == "unknown unit \"m\"");
    CHECK(parse_size("4kib").error() == "unknown unit \"kib\"");
    CHECK(parse_size("4MiB x").error() == "unknown unit \"MiB x\"");
    for (const auto* text : {"", "  ", "-1", "+1", "MiB", "1.5GiB", "0x10", "1,5"}) {
      CAPTURE(text);
      CHECK_FALSE(parse_size(text).has_value());
    }
    CHECK(parse_size("1.5GiB").error() == "not a whole number");
    CHECK(parse_size("18446744073709551616").error() == "too large a number");
    CHECK(parse_size("16777216TiB").error() == "too large a number");
  }

  TEST_CASE("parse_duration_ns: units from ns to h") {
    CHECK(parse_duration_ns("0") == 0u);
    CHECK(parse_duration_ns("7ns") == 7u);
    CHECK(parse_duration_ns("100us") == 100'000u);
    CHECK(parse_duration_ns("3000 ms") == 3'000'000'000u);
    CHECK(parse_duration_ns("30s") == 30'000'000'000u);
    CHECK(parse_duration_ns("5min") == 300'000'000'000u);
    CHECK(parse_duration_ns("1h") == 3'600'000'000'000u);
    CHECK(parse_duration_ns("30").error() == "a unit is missing");
    CHECK(parse_duration_ns("30sec").error() == "unknown unit \"sec\"");
    CHECK(parse_duration_ns("9999999999h").error() == "too large a number");
  }

  TEST_CASE("parse_integer: digits only") {
    CHECK(parse_integer("8192") == 8192u);
    CHECK_FALSE(parse_integer("8k").has_value());
    CHECK_FALSE(parse_integer("-8").has_value());
    CHECK_FALSE(parse_integer("8.0").has_value());
  }

  TEST_CASE("format_bytes and format_duration: one decimal, rounded") {
    CHECK(format_bytes(0) == "0 B");
    CHECK(format_bytes(1023) == "1023 B");
    CHECK(format_bytes(4 * kMiB) == "4 MiB");
    CHECK(format_bytes(kGiB + kGiB / 2) == "1.5 GiB");
    CHECK(format_bytes(kMiB - 1) == "1 MiB");
    CHECK(format_bytes(~0ull) == "16777216 TiB");
    CHECK(format_duration(0) == "0 ns");
    CHECK(format_duration(1'234'000'000) == "1.2 s");
    CHECK(format_duration(250'000) == "250 us");
    CHECK(format_duration(59'990'000'000) == "1 min");
  }

  TEST_CASE("exact_size and exact_duration: read back as the same value") {
    CHECK(exact_size(4 * kMiB) == "4MiB");
    CHECK(exact_size(1536 * kMiB) == "1536MiB");
    CHECK(exact_size(1000) == "1000B");
    CHECK(exact_duration(90'000'000'000) == "90s");
    CHECK(exact_duration(60'000'000'000) == "1min");
    SplitMix64 random(11);
    for (int i = 0; i < 1000; ++i) {
      const std::uint64_t value = random.next() >> random.below(64);
      REQUIRE(parse_size(exact_size(value)) == value);
      REQUIRE(parse_duration_ns(exact_duration(value)) == value);
    }
  }

  TEST_CASE("parse_host_port: names, addresses, IPv6 in brackets") {
    CHECK(parse_host_port("node-1.cluster:7000") == HostPort{"node-1.cluster", 7000});
    CHECK(parse_host_port("127.0.0.1:0") == HostPort{"127.0.0.1", 0});
    CHECK(parse_host_port("[fe80::1%eth0]:7000") == HostPort{"fe80::1%eth0", 7000});
    CHECK(parse_host_port("eth0", 5) == HostPort{"eth0", 5});
    CHECK(parse_host_port("[::1]", 5) == HostPort{"::1", 5});
    for (const auto* text : {"", ":1", "a", "a:", "a:b", "a:65536", "a:-1", "a:1:2", "::1:5",
                             "[::1", "[::1]5", "[]:1", "a b:1", "a/b:1", "a,b:1", "a:1 "}) {
      CAPTURE(text);
      CHECK_FALSE(parse_host_port(text).has_value());
    }
    CHECK(format_host_port({"a", 1}) == "a:1");
    CHECK(format_host_port({"::1", 1}) == "[::1]:1");
  }

  TEST_CASE("split_list: blanks and empty parts are dropped") {
    CHECK(split_list("").empty());
    CHECK(split_list(" , ").empty());
    CHECK(split_list("a, b ,,c") == std::vector<std::string>{"a", "b", "c"});
  }

  TEST_CASE("hexadecimal: there and back, strict") {
    CHECK(to_hex(bytes_of("\x01\xab\xff")) == "01abff");
    CHECK(to_hex(std::uint64_t{0xbeef}) == "000000000000beef");
    CHECK(text_of(*from_hex("01ABff")) == "\x01\xab\xff");
    CHECK(from_hex("")->empty());
    CHECK_FALSE(from_hex("0"));
    CHECK_FALSE(from_hex("0g"));
    CHECK_FALSE(from_hex(" 0"));
    CHECK(u64_from_hex("beef") == 0xbeefu);
    CHECK(u64_from_hex("ffffffffffffffff") == ~0ull);
    CHECK_FALSE(u64_from_hex(""));
    CHECK_FALSE(u64_from_hex("10000000000000000"));
    CHECK_FALSE(u64_from_hex("-1"));
  }

  TEST_CASE("base64: the vectors of RFC 4648 section 10") {
    const std::pair<std::string_view, std::string_view> vectors[] = {{"", ""},
                                                                     {"f", "Zg=="},
                                                                     {"fo", "Zm8="},
                                                                     {"foo", "Zm9v"},
                                                                     {"foob", "Zm9vYg=="},
                                                                     {"fooba", "Zm9vYmE="},
                                                                     {"foobar", "Zm9vYmFy"}};
    for (const auto& [plain, encoded] : vectors) {
      CHECK(to_base64(bytes_of(plain)) == encoded);
      const auto decoded = from_base64(encoded);
      REQUIRE(decoded);
      CHECK(text_of(*decoded) == plain);
    }
  }

  TEST_CASE("base64: what is not canonical is refused") {
    for (const auto* text : {"Zg", "Zg=", "Zg===", "Z===", "====", "Zh==", "Zm9=", "Zm 9", "Zm9v\n",
                             "Zg==Zg==", "Zm=v", "Zm9-", "Zm\x80v"}) {
      CAPTURE(text);
      CHECK_FALSE(from_base64(text));
    }
  }

  TEST_CASE("escape_line: one line whatever is in it") {
    CHECK(escape_line("plain \xc3\xa4") == "plain \xc3\xa4");
    CHECK(escape_line("a\nb\x1b[31m\\") == "a\\nb\\x1b[31m\\\\");
  }
}

}  // namespace
}  // namespace benchfs
