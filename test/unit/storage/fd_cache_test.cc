// The descriptor cache: who leaves, who stays; and the turns of direct and buffered I/O.
#include "storage/fd_cache.hpp"

#include "storage/loop_fixture.hpp"

namespace benchfs {
namespace {

using testing::LoopFixture;

struct Closed {
  std::vector<InodeId> inodes;
  FdCache cache;
  explicit Closed(std::size_t files_max)
      : cache(files_max, [this](FdCache::File& file) { inodes.push_back(file.id.inode); }) {}
  ~Closed() { cache.clear(); }
};

Task<void> in_turn(IoTurns& turns, IoTurns::Kind kind, char name, Event& go, std::string& log) {
  auto turn = turns.enter(kind);
  co_await turn;
  log.push_back(name);
  auto wait = go.wait();
  co_await wait;
  turns.leave();
}

TEST_SUITE("descriptor cache") {
  TEST_CASE("descriptor cache: the file used longest ago is closed first") {
    Closed files(2);
    { auto one = files.cache.insert(1, -1); }
    { auto two = files.cache.insert(2, -1); }
    { auto one = files.cache.find(1); }
    { auto three = files.cache.insert(3, -1); }
    CHECK(files.inodes == std::vector<InodeId>{2});
    CHECK(files.cache.find(1));
    CHECK_FALSE(files.cache.find(2));
  }

  TEST_CASE("descriptor cache: a file in use is not closed, and the cache shrinks once it is not") {
    Closed files(2);
    {
      auto one = files.cache.insert(1, -1);
      auto two = files.cache.insert(2, -1);
      auto three = files.cache.insert(3, -1);
      CHECK(files.inodes.empty());
      CHECK(files.cache.size() == 3);
      CHECK_FALSE(files.cache.evict_one());
      { auto again = files.cache.find(1); }
      CHECK(files.inodes.empty());  // still pinned by `one`
    }
    CHECK(files.inodes.size() == 1);
    CHECK(files.cache.size() == 2);
  }

  TEST_CASE("descriptor cache: a removed file is not found, and closed with its last use") {
    Closed files(2);
    auto one = std::make_unique<FdCache::Pin>(files.cache.insert(1, -1));
    files.cache.remove(1);
    CHECK_FALSE(files.cache.find(1));
    CHECK(files.inodes.empty());
    one.reset();
    CHECK(files.inodes == std::vector<InodeId>{1});
    { auto two = files.cache.insert(2, -1); }
    files.cache.remove(2);
    CHECK(files.inodes == std::vector<InodeId>{1, 2});
    files.cache.remove(99);
  }

  TEST_CASE_FIXTURE(LoopFixture, "io turns: one kind at a time, in the order they came") {
    using Kind = IoTurns::Kind;
    IoTurns turns;
    Event go_a, go_b, go_c;
    std::string log;
    std::vector<Task<void>> tasks;
    tasks.push_back(in_turn(turns, Kind::direct, 'a', go_a, log));
    tasks.push_back(in_turn(turns, Kind::direct, 'b', go_a, log));
    CHECK(log == "ab");  // the same kind runs together
    tasks.push_back(in_turn(turns, Kind::buffered, 'c', go_b, log));
    tasks.push_back(in_turn(turns, Kind::direct, 'd', go_c, log));  // may not overtake c
    while (loop->turn()) {
    }
    CHECK(log == "ab");
    go_a.set();
    loop->run_until([&] { return tasks[1].done(); });
    while (loop->turn()) {
    }
    CHECK(log == "abc");
    go_b.set();
    go_c.set();
    loop->run_until([&] { return tasks[3].done(); });
    CHECK(log == "abcd");
    CHECK(turns.idle());
  }
}

}  // namespace
}  // namespace benchfs
