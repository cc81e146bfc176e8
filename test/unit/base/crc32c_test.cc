// CRC32C: vectors of RFC 3720 appendix B.4, and agreement of both implementations.
#include "base/crc32c.hpp"

#include <doctest/doctest.h>

#include <string_view>
#include <vector>

#include "base/hash.hpp"
#include "base/text.hpp"

namespace benchfs {
namespace {

std::vector<std::byte> filled(std::size_t n, auto value_of) {
  std::vector<std::byte> out(n);
  for (std::size_t i = 0; i < n; ++i) out[i] = static_cast<std::byte>(value_of(i));
  return out;
}

TEST_SUITE("crc32c") {
  TEST_CASE("the vectors of RFC 3720") {
    const auto read_command = from_hex(
        "01c00000000000000000000000000000"
        "14000000000004000000001400000018"
        "28000000000000000200000000000000");
    REQUIRE(read_command);
    const std::pair<std::vector<std::byte>, std::uint32_t> vectors[] = {
        {filled(32, [](auto) { return 0; }), 0x8a9136aa},
        {filled(32, [](auto) { return 0xff; }), 0x62a8ab43},
        {filled(32, [](auto i) { return i; }), 0x46dd794e},
        {filled(32, [](auto i) { return 31 - i; }), 0x113fdb5c},
        {*read_command, 0xd9963a56},
        {filled(9, [](auto i) { return "123456789"[i]; }), 0xe3069283},
        {{}, 0},
    };
    for (const auto& [bytes, expected] : vectors) {
      CHECK(crc32c(bytes) == expected);
      CHECK(crc32c_portable(bytes) == expected);
    }
  }

  TEST_CASE("every length and alignment: the instruction and the table agree") {
    SplitMix64 random(5);
    const auto bytes = filled(20000, [&](auto) { return random.next() & 0xff; });
    for (std::size_t n = 0; n < 200; ++n) {
      const auto part = std::span{bytes}.subspan(n % 9, n);
      REQUIRE(crc32c(part) == crc32c_portable(part));
    }
    for (std::size_t n = 3000; n < 19000; n += 613) {
      const auto part = std::span{bytes}.subspan(n % 17, n);
      REQUIRE(crc32c(part) == crc32c_portable(part));
      REQUIRE(crc32c(part, 0x12345678) == crc32c_portable(part, 0x12345678));
    }
  }

  TEST_CASE("pieces one after the other give the CRC of the whole") {
    const auto bytes = filled(10000, [](auto i) { return i * 7; });
    for (const std::size_t cut :
         {std::size_t{0}, std::size_t{1}, std::size_t{4099}, bytes.size()}) {
      const auto whole = std::span{bytes};
      CHECK(crc32c(whole.subspan(cut), crc32c(whole.first(cut))) == crc32c(whole));
    }
  }
}

}  // namespace
}  // namespace benchfs
