// When huge pages are taken: as long as they are not much slower to get than small ones.
#include "storage/page_choice.hpp"

#include <doctest/doctest.h>

namespace benchfs {
namespace {

constexpr std::int64_t kUs = 1000;

int small_ones(PageChoice& pages) {
  int count = 0;
  while (!pages.huge() && count < 5000) ++count;
  return count;
}

TEST_SUITE("page choice") {
  TEST_CASE("page choice: fast huge pages are taken always") {
    PageChoice pages;
    for (int i = 0; i < 100; ++i) {
      REQUIRE(pages.huge());
      pages.took_huge(300 * kUs);
    }
  }

  TEST_CASE(
      "page choice: after slow ones small ones are taken, for longer each time, up to a bound") {
    PageChoice pages;
    REQUIRE(pages.huge());
    int before = 0;
    for (int i = 0; i < 10; ++i) {
      pages.took_huge(4000 * kUs);
      const int now = small_ones(pages);
      CHECK(now >= before);
      CHECK(now >= 16);
      CHECK(now <= 1024);
      before = now;
    }
    CHECK(before == 1024);
    pages.took_huge(300 * kUs);  // and at once again when it pays
    CHECK(pages.huge());
    pages.took_huge(4000 * kUs);
    CHECK(small_ones(pages) == 16);
  }

  TEST_CASE("page choice: slow is what is slow beside small ones here") {
    PageChoice pages;
    for (int i = 0; i < 50; ++i) pages.took_small(3000 * kUs);
    REQUIRE(pages.huge());
    pages.took_huge(4000 * kUs);
    CHECK(pages.huge());
  }

  TEST_CASE("page choice: a kernel that knows none is not asked again") {
    PageChoice pages;
    pages.never_huge();
    CHECK(small_ones(pages) == 5000);
  }
}

}  // namespace
}  // namespace benchfs
