// The journal: what was appended comes back in order, up to the first group that is not whole.
#include "metadata/journal.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "storage/loop_fixture.hpp"

namespace benchfs {
namespace {

using testing::LoopFixture;

struct JournalFixture : LoopFixture {
  std::string path() const { return dir.path() + "/journal"; }
  std::unique_ptr<Journal> open(std::uint64_t bytes_max = 1u << 20) {
    auto journal = Journal::open(path(), bytes_max);
    REQUIRE(journal.has_value());
    return std::move(*journal);
  }
  static std::vector<std::string> groups_of(Journal& journal) {
    std::vector<std::string> groups;
    CHECK(journal.replay([&](std::string_view group) -> Status {
      groups.emplace_back(group);
      return {};
    }));
    return groups;
  }
  /// Another byte at `offset` of the file.
  void damage(std::uint64_t offset) {
    std::fstream file(path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(offset));
    const int byte = file.get();
    file.seekp(static_cast<std::streamoff>(offset));
    file.put(static_cast<char>(byte ^ 1));
  }
};

TEST_SUITE("journal") {
  TEST_CASE_FIXTURE(JournalFixture, "journal: groups come back in order, and more can follow") {
    {
      auto journal = open();
      CHECK(journal->generation() == 0);
      REQUIRE(journal->start(7));
      CHECK(journal->append("one"));
      CHECK(journal->append(std::string(5000, 'x')));
      CHECK(journal->sync());
    }
    auto journal = open();
    CHECK(journal->generation() == 7);
    CHECK(groups_of(*journal) == std::vector<std::string>{"one", std::string(5000, 'x')});
    CHECK(journal->append("three"));
    CHECK(groups_of(*journal).size() == 3);
  }

  TEST_CASE_FIXTURE(JournalFixture,
                    "journal: a cleared one is empty, and old groups do not come back") {
    auto journal = open();
    REQUIRE(journal->start(1));
    for (int i = 0; i < 10; ++i) CHECK(journal->append("old" + std::to_string(i)));
    CHECK(journal->clear(true));
    CHECK(open()->generation() == 0);
    REQUIRE(journal->start(2));
    CHECK(journal->append("new0"));  // just over the first of the old ones
    auto again = open();
    CHECK(again->generation() == 2);
    CHECK(groups_of(*again) == std::vector<std::string>{"new0"});
  }

  TEST_CASE_FIXTURE(JournalFixture,
                    "journal: a damaged group and what is behind it are not taken") {
    {
      auto journal = open();
      REQUIRE(journal->start(1));
      for (const char* group : {"one", "two", "three"}) CHECK(journal->append(group));
    }
    damage(64 + 24 + 16);  // the first byte of "two"
    CHECK(groups_of(*open()) == std::vector<std::string>{"one"});
    damage(8);  // the generation
    CHECK(open()->generation() == 0);
  }

  TEST_CASE_FIXTURE(JournalFixture,
                    "journal: it says what fits, and a file that was cut is no harm") {
    {
      auto journal = open(8192);
      REQUIRE(journal->start(1));
      CHECK(journal->fits(8192 - 64 - 16));
      CHECK_FALSE(journal->fits(8192 - 64 - 15));
      CHECK(journal->append(std::string(6000, 'a')));
      CHECK_FALSE(journal->fits(6000));
      CHECK(journal->append(std::string(1000, 'b')));
    }
    struct stat facts {};
    REQUIRE(stat(path().c_str(), &facts) == 0);
    CHECK(facts.st_size == 8192);
    REQUIRE(truncate(path().c_str(), 6500) == 0);
    CHECK(groups_of(*open(8192)) == std::vector<std::string>{std::string(6000, 'a')});
    REQUIRE(truncate(path().c_str(), 10) == 0);
    CHECK(open()->generation() == 0);
  }

  TEST_CASE_FIXTURE(JournalFixture, "journal: what is no file is an error that names it") {
    REQUIRE(mkdir(path().c_str(), 0700) == 0);
    const auto refused = Journal::open(path(), 8192);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == Errc::is_directory);
  }
}

}  // namespace
}  // namespace benchfs
