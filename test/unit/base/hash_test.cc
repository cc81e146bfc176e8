// The project's hash and pseudo-random numbers: values of the published algorithms, which must
// never change.
#include "base/hash.hpp"

#include <doctest/doctest.h>

#include <array>
#include <vector>

namespace benchfs {
namespace {

/// The buffer of the reference implementation's own check (xxhsum.c).
std::vector<std::byte> reference_buffer() {
  std::vector<std::byte> buffer(101);
  std::uint32_t generator = 2654435761u;
  for (auto& b : buffer) {
    b = static_cast<std::byte>(generator >> 24);
    generator *= generator;
  }
  return buffer;
}

TEST_SUITE("hash") {
  TEST_CASE("hash64: texts have the published XXH64 values") {
    CHECK(hash64("") == 0xef46db3751d8e999);
    CHECK(hash64("a") == 0xd24ec4f1a98c6e5b);
    CHECK(hash64("abc") == 0x44bc2cf5ad770999);
    CHECK(hash64("Nobody inspects the spammish repetition") == 0xfbcea83c8a378bf1);
  }

  TEST_CASE("hash64: lengths of every code path, with and without a seed") {
    const auto buffer = reference_buffer();
    const auto of = [&](std::size_t n, std::uint64_t seed) {
      return hash64(std::span{buffer}.first(n), seed);
    };
    constexpr std::uint64_t kPrime = 2654435761u;
    CHECK(of(1, 0) == 0x4fce394cc88952d8);
    CHECK(of(1, kPrime) == 0x739840cb819fa723);
    CHECK(of(14, 0) == 0xcffa8db881bc3a3d);
    CHECK(of(14, kPrime) == 0x5b9611585efcc9cb);
    CHECK(of(101, 0) == 0x0eab543384f878ad);
    CHECK(of(101, kPrime) == 0xcaa65939306f1e21);
  }

  TEST_CASE("SplitMix64: published values") {
    SplitMix64 random(1234567);
    for (const std::uint64_t expected :
         {6457827717110365317u, 3203168211198807973u, 9817491932198370423u, 4593380528125082431u,
          16408922859458223821u})
      CHECK(random.next() == expected);
  }

  TEST_CASE("SplitMix64::below: in range, and every value as often as the others") {
    SplitMix64 random(1);
    for (int i = 0; i < 100; ++i) REQUIRE(random.below(1) == 0);
    std::array<int, 7> count{};
    for (int i = 0; i < 70000; ++i) {
      const std::uint32_t value = random.below(7);
      REQUIRE(value < 7);
      ++count[value];
    }
    for (const int n : count) {
      CHECK(n > 9600);
      CHECK(n < 10400);
    }
  }
}

}  // namespace
}  // namespace benchfs
