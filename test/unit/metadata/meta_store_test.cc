// The metadata store: what a turn changes is seen at once and written together; crashes lose
// nothing that was written and never bring an inode number back.
#include "metadata/meta_store.hpp"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "storage/loop_fixture.hpp"

namespace benchfs {
namespace {

using testing::LoopFixture;

Inode file_inode(InodeId number, std::uint64_t size = 0) {
  Inode inode;
  inode.attributes.inode = number;
  inode.attributes.size = size;
  inode.attributes.mode = S_IFREG | 0644;
  inode.attributes.chunk_bytes = kChunkBytesDefault;
  return inode;
}

struct MetaFixture : LoopFixture {
  std::unique_ptr<MetaStore> store;
  std::uint64_t reserved = 4096;
  std::uint64_t journal_bytes = 16u << 20;

  std::string path() const { return dir.path() + "/meta"; }
  void open() {
    auto made = MetaStore::open(
        {.directory = path(), .numbers_reserved = reserved, .journal_bytes = journal_bytes}, *loop,
        *offload);
    REQUIRE(made.has_value());
    store = std::move(*made);
  }
  void close() {
    if (store) CHECK(run(store->close()).has_value());
    store.reset();
  }
  ~MetaFixture() { close(); }
  InodeId number(Slot slot) {
    while (!store->number_left()) REQUIRE(run(store->more_numbers()).has_value());
    return store->next_inode(slot);
  }
};

/// Runs one of the test cases below, which are skipped otherwise, in a process of its own.
int run_child(const char* test_case, const std::string& directory) {
  const pid_t child = fork();
  if (child == 0) {
    setenv("BENCHFS_TEST_DIR", directory.c_str(), 1);
    unsetenv("DOCTEST_TAP");
    const std::string filter = std::string("-tc=") + test_case;
    execl("/proc/self/exe", "unit_tests", "--no-skip=true", "--minimal=true", filter.c_str(),
          nullptr);
    _exit(127);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
constexpr int kCrashed = 42;

TEST_SUITE("meta store") {
  TEST_CASE_FIXTURE(MetaFixture,
                    "meta store: changes are seen at once, written together, and kept") {
    open();
    store->put_entry(7, "name", {99, S_IFREG});
    store->create_inode(file_inode(99, 5));
    CHECK(store->pending());
    CHECK(store->entry(7, "name")->inode == 99);
    CHECK(store->inode(99)->attributes.size == 5);
    CHECK(store->files() == 0);  // not written yet
    CHECK(run(store->committed()).has_value());
    CHECK_FALSE(store->pending());
    CHECK(store->files() == 1);
    Inode spread = *store->inode(99);
    spread.spread = true;
    store->update_inode(spread);
    close();
    open();
    CHECK(store->entry(7, "name")->type == S_IFREG);
    CHECK(store->inode(99)->spread);
    CHECK(store->inode(99)->attributes.size == 5);
    CHECK(store->files() == 1);
    store->remove_entry(7, "name");
    store->remove_inode(*store->inode(99));
    CHECK(store->entry(7, "name").error().code == Errc::not_found);
    CHECK(run(store->committed()).has_value());
    CHECK(store->inode(99).error().code == Errc::not_found);
    CHECK(store->files() == 0);
  }

  TEST_CASE_FIXTURE(MetaFixture,
                    "meta store: names that share a beginning, and parents, are told apart") {
    open();
    store->put_entry(1, "a", {10, S_IFREG});
    store->put_entry(1, "ab", {11, S_IFREG});
    store->put_entry(2, "a", {12, S_IFDIR});
    const std::string longest(kNameBytesMax, 'x');
    store->put_entry(1, longest, {13, S_IFREG});
    run(store->committed());
    CHECK(store->entry(1, "a")->inode == 10);
    CHECK(store->entry(1, "ab")->inode == 11);
    CHECK(store->entry(2, "a")->inode == 12);
    CHECK(store->entry(1, longest)->inode == 13);
    CHECK(store->entry(2, "ab").error().code == Errc::not_found);
  }

  TEST_CASE_FIXTURE(MetaFixture,
                    "meta store: who waits goes on with the change written, in order") {
    open();
    struct Step {
      static Task<void> change(MetaStore& meta, int who, std::vector<int>& order) {
        meta.put_entry(1, std::to_string(who), {static_cast<InodeId>(who), S_IFREG});
        auto writing = meta.committed();
        const Status written = co_await writing;
        CHECK(written.has_value());
        order.push_back(who);
      }
    };
    std::vector<int> order;
    std::vector<Task<void>> steps;
    for (int i = 0; i < 5; ++i) steps.push_back(Step::change(*store, i, order));
    loop->run_until([&] { return steps[4].done(); });
    CHECK(order == std::vector{0, 1, 2, 3, 4});
    CHECK(run(store->committed()).has_value());  // nothing pending: at once
  }

  TEST_CASE_FIXTURE(MetaFixture, "meta store: many syncs at once all return, after their changes") {
    open();
    std::vector<Task<Status>> syncs;
    for (int i = 0; i < 50; ++i) {
      store->put_entry(1, std::to_string(i), {static_cast<InodeId>(i), S_IFREG});
      syncs.push_back(store->sync());
      if (i % 7 == 0) loop->turn();
    }
    loop->run_until([&] {
      for (auto& sync : syncs) {
        if (!sync.done()) return false;
      }
      return true;
    });
    CHECK_FALSE(store->pending());
    for (auto& sync : syncs) CHECK(sync.take().has_value());
  }

  TEST_CASE_FIXTURE(MetaFixture,
                    "meta store: inode numbers are unique over restarts, and start at 2") {
    reserved = 8;
    open();
    std::set<InodeId> seen;
    CHECK(number(5) == make_inode(5, 2));
    for (int round = 0; round < 3; ++round) {
      for (int i = 0; i < 50; ++i) {
        const InodeId given = number(static_cast<Slot>(i % 2));
        CHECK(seen.insert(given & 0xffff'ffff'ffffull).second);
      }
      close();
      open();
    }
  }

  TEST_CASE_FIXTURE(MetaFixture,
                    "meta store: a raised counter holds, over a restart too, and never sinks") {
    open();
    CHECK(run(store->raise_counter(1'000'000)).has_value());
    CHECK(number(1) == make_inode(1, 1'000'000));
    CHECK(run(store->raise_counter(500)).has_value());
    CHECK(number(1) == make_inode(1, 1'000'001));
    close();
    open();
    CHECK(number(1) > make_inode(1, 1'000'001));
    CHECK_FALSE(run(store->raise_counter(1ull << 48)).has_value());
  }

  TEST_CASE_FIXTURE(MetaFixture,
                    "meta store: unfinished drops are kept, in order; finished ones are not") {
    open();
    const auto first = store->add_drop({.inode = 5, .size = 10, .remove = false, .spread = true});
    const auto second = store->add_drop({.inode = 6, .remove = true});
    const auto third = store->add_drop({.inode = 7, .remove = true});
    store->finish_drop(second);
    close();
    open();
    auto left = *store->drops();
    REQUIRE(left.size() == 2);
    CHECK(left[0].inode == 5);
    CHECK(left[0].size == 10);
    CHECK_FALSE(left[0].remove);
    CHECK(left[0].spread);
    CHECK(left[1].inode == 7);
    CHECK(left[1].remove);
    const auto next = store->add_drop({.inode = 8, .remove = true});
    CHECK(next.number > third.number);
    store->finish_drop(first);
    run(store->committed());
    CHECK(store->drops()->size() == 2);
  }

  TEST_CASE_FIXTURE(MetaFixture, "meta store: what nobody waits for is written in the next turn") {
    open();
    store->put_entry(1, "a", {10, S_IFREG});
    loop->turn();
    loop->turn();
    CHECK_FALSE(store->pending());
    CHECK(store->entry(1, "a").has_value());
  }

  // A model in memory beside the store, whose journal is so small that changes go to RocksDB all
  // the time.
  TEST_CASE_FIXTURE(MetaFixture,
                    "meta store: all layers are one, while changes move down and over restarts") {
    journal_bytes = 2048;
    open();
    std::map<std::string, InodeId> model[2];
    std::mt19937 engine(20);
    const auto below = [&](unsigned bound) { return engine() % bound; };
    const auto compare = [&] {
      for (InodeId parent = 0; parent < 2; ++parent) {
        std::vector<std::string> names;
        const auto from = below(2) == 0 ? "" : "n" + std::to_string(below(60));
        REQUIRE(store->entries(parent, from, [&](std::string_view name, Entry entry) {
          names.emplace_back(name);
          CHECK(entry.inode == model[parent][names.back()]);
          return true;
        }));
        std::vector<std::string> expected;
        for (auto at = model[parent].upper_bound(from); at != model[parent].end(); ++at) {
          expected.push_back(at->first);
        }
        CHECK(names == expected);
      }
    };
    for (int step = 0; step < 4000; ++step) {
      const InodeId parent = below(2);
      const std::string name = "n" + std::to_string(below(60));
      if (below(3) == 0) {
        model[parent].erase(name);
        store->remove_entry(parent, name);
      } else {
        const InodeId inode = 2 + below(1000);
        model[parent][name] = inode;
        store->put_entry(parent, name, {inode, S_IFREG});
      }
      const auto found = store->entry(parent, name);
      CHECK(found.has_value() == model[parent].contains(name));
      if (below(3) == 0) REQUIRE(run(store->committed()).has_value());
      if (below(50) == 0) compare();
      if (below(400) == 0) REQUIRE(run(store->settled()).has_value());
      if (below(500) == 0) {
        close();
        open();
        compare();
      }
    }
    REQUIRE(run(store->settled()).has_value());
    std::size_t scanned = 0;
    CHECK(store->scan_entries(0, "", [&](InodeId parent, std::string_view name, Entry entry) {
      ++scanned;
      const auto found = model[parent].find(std::string(name));
      REQUIRE(found != model[parent].end());
      CHECK(found->second == entry.inode);
      return true;
    }));
    CHECK(scanned == model[0].size() + model[1].size());
  }

  TEST_CASE_FIXTURE(MetaFixture,
                    "meta store: more changes than the journals hold wait, and none is lost") {
    journal_bytes = 2048;  // at most 8192
    open();
    const std::string value(3000, 'v');
    std::vector<Task<Status>> writes;
    for (InodeId inode = 2; inode < 50; ++inode) {
      store->put_xattr(inode, "user.a", value);
      writes.push_back(store->committed());
    }
    loop->run_until([&] {
      return std::ranges::all_of(writes, [](const auto& write) { return write.done(); });
    });
    int failed = 0;
    for (std::size_t i = 0; i < writes.size(); ++i) {
      // All that waited at the same time is one batch, which may be too large for any journal.
      const bool written = writes[i].take().has_value();
      failed += !written;
      CHECK(store->xattr(2 + i, "user.a").has_value() == written);
    }
    CHECK(failed < 48);
    close();
    open();
    int kept = 0;
    for (InodeId inode = 2; inode < 50; ++inode) kept += store->xattr(inode, "user.a") == value;
    CHECK(kept == 48 - failed);
  }

  TEST_CASE_FIXTURE(MetaFixture,
                    "meta store: a batch for which no journal has room did not happen") {
    journal_bytes = 2048;
    open();
    store->put_xattr(5, "user.a", "old");
    REQUIRE(run(store->committed()).has_value());
    store->put_xattr(5, "user.a", std::string(20'000, 'v'));
    store->create_inode(file_inode(6));
    CHECK(store->xattr(5, "user.a")->size() == 20'000);
    CHECK(run(store->committed()).error().code == Errc::no_space);
    CHECK(store->xattr(5, "user.a") == "old");
    CHECK(store->inode(6).error().code == Errc::not_found);
    CHECK(store->files() == 0);
    store->create_inode(file_inode(6));
    CHECK(run(store->committed()).has_value());
    CHECK(store->files() == 1);
  }

  TEST_CASE_FIXTURE(MetaFixture, "meta store: a second server on the same directory is refused") {
    open();
    const auto second = MetaStore::open({.directory = path()}, *loop, *offload);
    REQUIRE_FALSE(second.has_value());
    CHECK(second.error().code == Errc::busy);
  }

  TEST_CASE_FIXTURE(MetaFixture, "meta store: a directory that cannot be made is an error") {
    std::ofstream(dir.path() + "/file") << "x";
    const auto refused = MetaStore::open({.directory = dir.path() + "/file/meta"}, *loop, *offload);
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().code == Errc::not_directory);
  }

  TEST_CASE_FIXTURE(
      MetaFixture,
      "meta store: after a crash what was written is there, and no number comes again") {
    reserved = 16;
    // Dying between two journals, too.
    SUBCASE("one journal has it all") {
      unsetenv("BENCHFS_TEST_JOURNAL");
    }
    SUBCASE("much of it has gone to RocksDB") {
      setenv("BENCHFS_TEST_JOURNAL", "3000", 1);
    }
    std::uint64_t highest = 0;
    for (int round = 0; round < 3; ++round) {
      REQUIRE(run_child("crash child: writes and dies", path()) == kCrashed);
      std::uint64_t lowest_given = 0, highest_given = 0;
      std::ifstream(path() + "/given") >> lowest_given >> highest_given;
      CHECK(lowest_given > highest);
      highest = highest_given;
    }
    open();
    for (int round = 0; round < 3; ++round) CHECK(store->files() == 300);
    CHECK(store->entry(1, "file 99").has_value());
    CHECK(store->inode(store->entry(1, "file 99")->inode).has_value());
    CHECK(store->entry(1, "not written").error().code == Errc::not_found);
    CHECK(store->drops()->size() == 3);
    CHECK((number(1) & 0xffff'ffff'ffffull) > highest);
  }

  // Started by the test above in its own process; ends in the middle, as a killed server would.
  TEST_CASE("crash child: writes and dies" * doctest::skip()) {
    const char* directory = getenv("BENCHFS_TEST_DIR");
    if (directory == nullptr) return;
    auto loop = *Loop::create({});
    const Loop::Scope scope(*loop);
    Offload offload(*loop);
    MetaStore::Options options{.directory = directory, .numbers_reserved = 16};
    if (const char* bytes = getenv("BENCHFS_TEST_JOURNAL"))
      options.journal_bytes = strtoull(bytes, nullptr, 10);
    auto store = *MetaStore::open(options, *loop, offload);
    InodeId lowest = ~0ull, highest = 0;
    const auto take = [&] {
      while (!store->number_left()) REQUIRE(loop->run(store->more_numbers()).has_value());
      const InodeId given = store->next_inode(0);
      lowest = std::min(lowest, given);
      highest = std::max(highest, given);
      return given;
    };
    for (int i = 0; i < 100; ++i) {
      const InodeId given = take();
      store->create_inode(file_inode(given));
      store->put_entry(1, "file " + std::to_string(i), {given, S_IFREG});
      REQUIRE(loop->run(store->committed()).has_value());
    }
    store->add_drop({.inode = 5, .remove = true});
    REQUIRE(loop->run(store->committed()).has_value());
    store->put_entry(1, "not written", {take(), S_IFREG});  // in the batch only
    std::ofstream(std::string(directory) + "/given") << lowest << ' ' << highest << std::flush;
    _exit(kCrashed);
  }
}

}  // namespace
}  // namespace benchfs
