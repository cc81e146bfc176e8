// Listing a directory while others make and remove entries in it, 100,000 of them
// (BENCHFS_TEST_ENTRIES: another number; few with BRIEF_CHECK=yes and under sanitizers). An entry
// that exists all the while is given exactly once, no entry is given twice, and what is given has
// been there.
#include <fcntl.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "cluster.hpp"

namespace benchfs::test {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::size_t kEntries = 4'000;
#else
constexpr std::size_t kEntries = 100'000;
#endif
constexpr std::size_t kStay = 3'000;
constexpr std::size_t kWindow = 64;
constexpr int kSessions = 2;

std::size_t entries_wanted() {
  if (const char* text = getenv("BENCHFS_TEST_ENTRIES")) return std::stoul(text);
  const char* brief = getenv("BRIEF_CHECK");
  return brief != nullptr && std::string(brief) == "yes" ? 4'000 : kEntries;
}

std::string name_of(char kind, std::size_t number) {
  return "/d/" + std::string(1, kind) + std::to_string(number);
}

/// A window of nonblocking calls; each must succeed.
template <class Start>
void in_flight(std::size_t first, std::size_t end, Start start) {
  std::vector<benchfs_request_t*> requests(end - first);
  for (std::size_t i = first; i < end; ++i) REQUIRE(start(i, &requests[i - first]) == 0);
  for (benchfs_request_t* request : requests) CHECK(benchfs_wait(request) == 0);
}
void make(benchfs_t* fs, char kind, std::size_t first, std::size_t end) {
  std::vector<benchfs_file_t*> files(end - first);
  in_flight(first, end, [&](std::size_t i, benchfs_request_t** request) {
    return benchfs_open_start(fs, name_of(kind, i).c_str(), O_WRONLY | O_CREAT | O_EXCL, 0644, 0,
                              &files[i - first], request);
  });
  for (benchfs_file_t* file : files) CHECK(benchfs_close(file) == 0);
}
void remove(benchfs_t* fs, char kind, std::size_t first, std::size_t end) {
  in_flight(first, end, [&](std::size_t i, benchfs_request_t** request) {
    return benchfs_unlink_start(fs, name_of(kind, i).c_str(), request);
  });
}

TEST_SUITE("churn") {
  TEST_CASE("list: every entry that stays comes exactly once, while very many come and go") {
    const std::size_t wanted = entries_wanted();
    Cluster cluster(2);
    Session session(cluster);
    REQUIRE(benchfs_mkdir(session, "/d", 0755) == 0);
    for (std::size_t i = 0; i < kStay; i += kWindow) {
      make(session, 's', i, std::min(kStay, i + kWindow));
    }
    std::atomic<int> working{kSessions};
    std::atomic<std::size_t> made{0};
    std::vector<std::thread> others;
    for (int who = 0; who < kSessions; ++who) {
      others.emplace_back([&, who] {
        Session mine(cluster);
        const auto kind = static_cast<char>('x' + who);
        const std::size_t share = wanted / kSessions;
        // Some thousands are there at a time, so that listings have many pages of them.
        const std::size_t there = std::min<std::size_t>(share, 2048) / kWindow * kWindow;
        std::size_t begin = 0;
        for (std::size_t at = 0; at < share; at += kWindow) {
          make(mine, kind, at, std::min(share, at + kWindow));
          made += std::min(share, at + kWindow) - at;
          if (at - begin < there) continue;
          remove(mine, kind, begin, begin + kWindow);
          begin += kWindow;
        }
        for (; begin < share; begin += kWindow) {
          remove(mine, kind, begin, std::min(share, begin + kWindow));
        }
        --working;
      });
    }
    std::size_t rounds = 0, passing = 0;
    do {
      std::vector<bool> stayed(kStay, false);
      std::vector<std::vector<bool>> came(kSessions, std::vector<bool>(wanted, false));
      benchfs_dir_t* directory = nullptr;
      const int flags = rounds % 2 == 0 ? 0 : BENCHFS_DIR_STAT;
      REQUIRE(benchfs_opendir(session, "/d", flags, &directory) == 0);
      benchfs_dirent entry;
      int got = 0;
      std::size_t twice = 0, strange = 0;
      while ((got = benchfs_readdir(directory, &entry)) == 1) {
        const char kind = entry.name[0];
        const std::size_t number = std::stoul(entry.name + 1);
        if (kind == 's' && number < kStay) {
          twice += stayed[number] ? 1 : 0;
          stayed[number] = true;
        } else if (kind >= 'x' && kind < 'x' + kSessions && number < wanted) {
          std::vector<bool>& those = came[static_cast<std::size_t>(kind - 'x')];
          twice += those[number] ? 1 : 0;
          those[number] = true;
          ++passing;
        } else {
          ++strange;
        }
      }
      CHECK_MESSAGE(got == 0, benchfs_error());
      CHECK(benchfs_closedir(directory) == 0);
      CHECK(twice == 0);
      CHECK(strange == 0);
      CHECK(std::count(stayed.begin(), stayed.end(), false) == 0);
      ++rounds;
    } while (working > 0);
    for (std::thread& other : others) other.join();
    CHECK(made >= wanted / kSessions * kSessions);
    CHECK(passing > 0);
    MESSAGE(made.load() << " entries made and removed during " << rounds << " listings, which saw "
                        << passing << " of them");
    // And all of them are gone.
    benchfs_dir_t* directory = nullptr;
    REQUIRE(benchfs_opendir(session, "/d", 0, &directory) == 0);
    benchfs_dirent entry;
    std::size_t left = 0;
    while (benchfs_readdir(directory, &entry) == 1) ++left;
    CHECK(left == kStay);
    CHECK(benchfs_closedir(directory) == 0);
  }
}

}  // namespace
}  // namespace benchfs::test
