// Where the bytes of a file are in its local files.
#include "placement/stripes.hpp"

#include <doctest/doctest.h>

#include <array>

namespace benchfs {
namespace {

TEST_SUITE("stripes") {
  TEST_CASE("stripes: every stripe has a place of its own, in order, without gaps") {
    std::array<std::uint64_t, kStripeFiles> next{};
    for (std::uint64_t row = 0; row < 1000; ++row) {
      const StripePlace first = stripe_at(row << kStripeShift);
      CHECK(first.file == row % kStripeFiles);
      CHECK(first.offset == next[first.file]);
      CHECK(first.room == kStripeBytes);
      const StripePlace last = stripe_at(((row + 1) << kStripeShift) - 1);
      CHECK(last.file == first.file);
      CHECK(last.offset == first.offset + kStripeBytes - 1);
      CHECK(last.room == 1);
      next[first.file] += kStripeBytes;
    }
  }

  TEST_CASE("stripes: what lies before a size, byte by byte around every boundary") {
    for (std::uint64_t row = 0; row < 3 * kStripeFiles; ++row) {
      for (const std::uint64_t within :
           {std::uint64_t{0}, std::uint64_t{1}, kStripeBytes / 2, kStripeBytes - 1}) {
        const std::uint64_t size = (row << kStripeShift) + within;
        std::array<std::uint64_t, kStripeFiles> expected{};
        for (std::uint64_t at = 0; at < size;) {
          const StripePlace place = stripe_at(at);
          const std::uint64_t part = size - at < place.room ? size - at : place.room;
          expected[place.file] = place.offset + part;
          at += part;
        }
        for (unsigned file = 0; file < kStripeFiles; ++file) {
          CAPTURE(size);
          CAPTURE(file);
          CHECK(stripe_size(size, file) == expected[file]);
        }
      }
    }
  }

  TEST_CASE("stripes: at the end of the largest file") {
    const std::uint64_t size = 1ull << 62;
    CHECK(stripe_size(size, 0) == size / kStripeFiles);
    CHECK(stripe_at(size - 1).offset == size / kStripeFiles - 1);
  }
}

}  // namespace
}  // namespace benchfs
