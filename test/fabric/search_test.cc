// Listings of what fits, looked for by real servers, against the same choice made here.
#include <fcntl.h>
#include <fnmatch.h>
#include <sys/stat.h>

#include <cerrno>
#include <map>
#include <random>

#include "cluster.hpp"

namespace benchfs::test {
namespace {

struct Outcome {
  std::map<std::string, benchfs_dirent> entries;
  std::uint64_t seen = 0;
};

Outcome search(Session& session, const char* path, const struct benchfs_match& match,
               int flags = 0) {
  Outcome outcome;
  benchfs_dir_t* directory = nullptr;
  REQUIRE_MESSAGE(benchfs_opendir_match(session, path, &match, flags, &directory) == 0,
                  benchfs_error());
  benchfs_dirent entry;
  int got = 0;
  while ((got = benchfs_readdir(directory, &entry)) == 1) {
    CHECK(outcome.entries.emplace(entry.name, entry).second);
  }
  CHECK_MESSAGE(got == 0, benchfs_error());
  outcome.seen = benchfs_dir_seen(directory);
  CHECK(benchfs_closedir(directory) == 0);
  return outcome;
}

std::uint64_t requests(benchfs_t* fs) {
  std::uint64_t sum = 0;
  for (int i = 0; i < benchfs_server_count(fs); ++i) {
    struct benchfs_server_status status {};
    REQUIRE(benchfs_server_status(fs, i, &status) == 0);
    sum += status.requests;
  }
  return sum;
}

TEST_SUITE("search") {
  TEST_CASE("search: the servers find what this side would have chosen, renamed files as well") {
    Cluster cluster(3);
    Session session(cluster);
    REQUIRE(benchfs_mkdir(session, "/d", 0755) == 0);
    std::mt19937_64 random(7);
    std::map<std::string, struct benchfs_stat> all;
    for (int i = 0; i < 300; ++i) {
      const std::string name = (i % 3 == 0 ? "A" : "b") + std::to_string(random() % 100000);
      std::string path = "/d/" + name;
      if (all.contains(name)) continue;
      if (i % 10 == 0) {
        REQUIRE(benchfs_mkdir(session, path.c_str(), 0755) == 0);
      } else if (i % 10 == 1) {
        REQUIRE(benchfs_symlink(session, "nowhere", path.c_str()) == 0);
      } else {
        // Half of them get their name by a rename, and may have another home than name.
        const std::string first = i % 2 == 0 ? path : "/first";
        benchfs_file_t* file = session.open(first, O_RDWR | O_CREAT | O_EXCL);
        REQUIRE(benchfs_ftruncate(file, random() % 4) == 0);
        const auto mtime_ns = static_cast<std::int64_t>(random() % 5);
        REQUIRE(benchfs_futimens(file, 0, mtime_ns) == 0);
        CHECK(benchfs_close(file) == 0);
        if (i % 2 != 0) REQUIRE(benchfs_rename(session, "/first", path.c_str(), 0) == 0);
      }
      struct benchfs_stat st {};
      REQUIRE(benchfs_lstat(session, path.c_str(), &st) == 0);
      all.emplace(name, st);
    }
    for (int round = 0; round < 60; ++round) {
      CAPTURE(round);
      struct benchfs_match match = BENCHFS_MATCH_ANY;
      if (random() % 2 == 0) match.name = "[Ab]*1*";
      if (random() % 3 == 0) match.any_case_name = "B*";
      if (random() % 2 == 0) match.size_min = random() % 4;
      if (random() % 2 == 0) match.size_max = random() % 4;
      if (random() % 3 == 0) match.mtime_min_ns = static_cast<std::int64_t>(random() % 5);
      if (random() % 3 == 0) match.mtime_max_ns = static_cast<std::int64_t>(random() % 5);
      match.types = static_cast<std::uint32_t>(random() % 16);
      const int flags = static_cast<int>(random() % 4);
      const Outcome found = search(session, "/d", match, flags);
      CHECK(found.seen == all.size());
      std::size_t expected = 0;
      for (const auto& [name, st] : all) {
        const std::uint32_t type = S_ISDIR(st.mode)   ? BENCHFS_MATCH_DIRECTORIES
                                   : S_ISLNK(st.mode) ? BENCHFS_MATCH_LINKS
                                                      : BENCHFS_MATCH_FILES;
        const std::uint32_t types = match.types & ~BENCHFS_MATCH_EMPTY;
        bool fits = types == 0 || (types & type) != 0;
        fits = fits && (match.name == nullptr || fnmatch(match.name, name.c_str(), 0) == 0);
        fits = fits && (match.any_case_name == nullptr ||
                        fnmatch(match.any_case_name, name.c_str(), FNM_CASEFOLD) == 0);
        fits = fits && st.size >= match.size_min && st.size <= match.size_max;
        fits = fits && st.mtime_ns >= match.mtime_min_ns && st.mtime_ns <= match.mtime_max_ns;
        if ((match.types & BENCHFS_MATCH_EMPTY) != 0) {
          fits = fits && !S_ISLNK(st.mode) && (S_ISDIR(st.mode) || st.size == 0);
        }
        const bool told = fits || ((flags & BENCHFS_DIR_DESCEND) != 0 && S_ISDIR(st.mode));
        expected += told ? 1 : 0;
        const auto entry = found.entries.find(name);
        CHECK_MESSAGE((entry != found.entries.end()) == told, name);
        if (!told || entry == found.entries.end()) continue;
        CHECK(entry->second.fits == (fits ? 1u : 0u));
        CHECK(entry->second.inode == st.inode);
        if (!fits || (flags & BENCHFS_DIR_STAT) == 0) continue;
        CHECK(entry->second.has_stat == 1);
        CHECK(entry->second.stat.size == st.size);
        CHECK(entry->second.stat.mtime_ns == st.mtime_ns);
      }
      CHECK(found.entries.size() == expected);
    }
  }

  TEST_CASE("search: what does not fit costs no message") {
    Cluster cluster(2);
    Session session(cluster);
    REQUIRE(benchfs_mkdir(session, "/d", 0755) == 0);
    constexpr int kFiles = 3000;
    for (int i = 0; i < kFiles; ++i) {
      REQUIRE(benchfs_close(session.open("/d/f" + std::to_string(i), O_WRONLY | O_CREAT)) == 0);
    }
    struct benchfs_match match = BENCHFS_MATCH_ANY;
    match.name = "f77";
    match.size_max = 0;
    const std::uint64_t before = requests(session);
    const Outcome found = search(session, "/d", match);
    CHECK(requests(session) - before < 10);
    CHECK(found.entries.size() == 1);
    CHECK(found.seen == kFiles);
  }

  TEST_CASE(
      "search: sizes that this session has not told yet count, and bad requests are refused") {
    Cluster cluster(2);
    Session session(cluster);
    REQUIRE(benchfs_mkdir(session, "/d", 0755) == 0);
    benchfs_file_t* file = session.open("/d/f", O_RDWR | O_CREAT);
    for (int i = 0; i < 3; ++i) {
      REQUIRE(benchfs_pwrite(file, "abc", 3, static_cast<std::uint64_t>(i) * 3) == 3);
    }
    struct benchfs_match match = BENCHFS_MATCH_ANY;
    match.size_min = 9;
    CHECK(search(session, "/d", match).entries.size() == 1);
    match.size_min = 10;
    CHECK(search(session, "/d", match).entries.empty());
    CHECK(benchfs_close(file) == 0);

    benchfs_dir_t* directory = nullptr;
    match = BENCHFS_MATCH_ANY;
    CHECK(benchfs_opendir_match(session, "/none", &match, 0, &directory) == -ENOENT);
    CHECK(benchfs_opendir_match(session, "/d/f", &match, 0, &directory) == -ENOTDIR);
    CHECK(benchfs_opendir_match(session, "/d", &match, 4, &directory) == -EINVAL);
    match.types = 16;
    CHECK(benchfs_opendir_match(session, "/d", &match, 0, &directory) == -EINVAL);
    match = BENCHFS_MATCH_ANY;
    const std::string pattern(1025, '?');
    match.name = pattern.c_str();
    CHECK(benchfs_opendir_match(session, "/d", &match, 0, &directory) == -ENAMETOOLONG);
    // One that is removed while it is being listed has no entries any more.
    match = BENCHFS_MATCH_ANY;
    REQUIRE(benchfs_unlink(session, "/d/f") == 0);
    REQUIRE(benchfs_opendir_match(session, "/d", &match, 0, &directory) == 0);
    REQUIRE(benchfs_rmdir(session, "/d") == 0);
    benchfs_dirent entry;
    CHECK(benchfs_readdir(directory, &entry) == 0);
    CHECK(benchfs_closedir(directory) == 0);
  }
}

}  // namespace
}  // namespace benchfs::test
