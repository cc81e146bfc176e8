// The check of the whole file system: clean after any work and beside it; every kind of damage,
// done to the stores of stopped servers, is found as what it is, corrected, and then gone.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "cluster.hpp"
#include "loop/loop.hpp"
#include "loop/offload.hpp"
#include "metadata/meta_store.hpp"
#include "placement/slot_map.hpp"
#include "storage/chunk_store.hpp"
#include "storage/file_chunks.hpp"

namespace benchfs::test {
namespace {

struct Found {
  int kind;
  InodeId inode, parent;
  std::string name, text, outcome;
  bool corrected;
};
using Kinds = std::multiset<std::pair<int, InodeId>>;
struct Checked {
  std::vector<Found> found;
  struct benchfs_fsck_result result {};
  Kinds kinds() const {
    Kinds all;
    for (const Found& each : found) all.emplace(each.kind, each.inode);
    return all;
  }
  std::string texts() const {
    std::string all;
    for (const Found& each : found) all += each.text + ": " + each.outcome + "\n";
    return all;
  }
};

Checked check(benchfs_t* fs, unsigned flags = 0) {
  Checked checked;
  const auto add = [](const struct benchfs_fsck_finding* from, void* into) {
    static_cast<Checked*>(into)->found.push_back({from->kind, from->inode, from->parent, from->name,
                                                  from->text, from->outcome, from->corrected != 0});
  };
  const int error = benchfs_fsck(fs, flags, add, &checked, &checked.result);
  REQUIRE_MESSAGE(error == 0, benchfs_error());
  CHECK(checked.result.findings == checked.found.size());
  return checked;
}

void check_clean(benchfs_t* fs) {
  const Checked checked = check(fs);
  CHECK_MESSAGE(checked.found.empty(), checked.texts());
  CHECK(checked.result.undecided == 0);
}

/// Bounded, and as random as the seed: makes, renames, links and removes below `top`.
void work(Session& session, const std::string& top, std::uint64_t seed, int steps) {
  std::mt19937_64 random(seed);
  const auto path = [&] { return top + "/" + std::to_string(random() % 24); };
  for (int i = 0; i < steps; ++i) {
    const std::string a = path(), b = path();
    benchfs_file_t* file = nullptr;
    switch (random() % 8) {
      case 0:
      case 1:
        if (benchfs_open(session, a.c_str(), O_WRONLY | O_CREAT, 0644, 0, &file) == 0) {
          CHECK(benchfs_pwrite(file, "text", 4, static_cast<std::uint64_t>(random() % 9) << 20) >=
                -ENOENT);
          const int closed = benchfs_close(file);
          CHECK((closed == 0 || closed == -ENOENT));
        }
        break;
      case 2:
        benchfs_mkdir(session, a.c_str(), 0755);
        break;
      case 3:
        benchfs_unlink(session, a.c_str());
        break;
      case 4:
        benchfs_rmdir(session, a.c_str());
        break;
      case 5:
        benchfs_symlink(session, "to", a.c_str());
        break;
      case 6:
        benchfs_link(session, a.c_str(), b.c_str());
        break;
      default:
        benchfs_rename(session, a.c_str(), b.c_str(), 0);
    }
  }
}

/// The store of a server that is stopped.
template <class Change>
void edit(const Cluster& cluster, int server, Change change) {
  auto loop = *Loop::create({});
  const Loop::Scope scope(*loop);
  Offload offload(*loop);
  auto store = MetaStore::open({.directory = cluster.data_dir(server) + "/meta"}, *loop, offload);
  REQUIRE(store.has_value());
  change(**store);
  CHECK(loop->run((*store)->close()).has_value());
}

/// Who has the entry of the root directory, and what it is.
struct Place {
  int server = -1;
  Entry entry;
};
Place find(const Cluster& cluster, int servers, const std::string& name,
           InodeId parent = kRootInode) {
  Place place;
  for (int i = 0; i < servers; ++i) {
    edit(cluster, i, [&](MetaStore& store) {
      const auto entry = store.entry(parent, name);
      if (entry) place = {i, *entry};
    });
  }
  REQUIRE(place.server >= 0);
  return place;
}

void make_file(Session& session, const std::string& path, const std::string& text) {
  benchfs_file_t* file = session.open(path, O_WRONLY | O_CREAT);
  CHECK(benchfs_pwrite(file, text.data(), text.size(), 0) ==
        static_cast<std::int64_t>(text.size()));
  CHECK(benchfs_close(file) == 0);
}
void make_directory(Session& session, const char* path) {
  REQUIRE(benchfs_mkdir(session, path, 0755) == 0);
}
bool exists(Session& session, const std::string& path) {
  struct benchfs_stat st {};
  return benchfs_lstat(session, path.c_str(), &st) == 0;
}

constexpr int kServers = 3;

TEST_SUITE("fsck") {
  TEST_CASE("fsck: clean after random work, and beside it") {
    Cluster cluster(kServers);
    Session session(cluster);
    check_clean(session);
    make_directory(session, "/a");
    make_directory(session, "/b");
    work(session, "/a", 7, 400);
    check_clean(session);

    std::atomic<bool> stop{false};
    std::thread other([&] {
      Session busy(cluster);
      for (std::uint64_t seed = 1; !stop; ++seed) work(busy, "/b", seed, 20);
    });
    for (int i = 0; i < 3; ++i) {
      // What is always in change may stay undecided, but nothing is wrong, and nothing is touched.
      const Checked checked = check(session, i % 2 == 0 ? 0 : BENCHFS_FSCK_REPAIR);
      CHECK_MESSAGE(checked.found.empty(), checked.texts());
    }
    stop = true;
    other.join();
    check_clean(session);
    const Checked last = check(session);
    CHECK(last.result.entries > 0);
    CHECK(last.result.inodes > 2);
    CHECK_FALSE(exists(session, "/lost+found"));

    cluster.stop();
    cluster.start();
    Session again(cluster);
    check_clean(again);
  }

  TEST_CASE("fsck: every kind of damage is found, corrected, and gone") {
    Cluster cluster(kServers);
    std::map<std::string, InodeId> inode;
    {
      Session session(cluster);
      const std::vector<std::string> files = {"dangling", "moved",  "twice",  "typed",
                                              "orphan",   "linked", "second", "settled"};
      for (const std::string& name : files) {
        make_file(session, "/" + name, "text of " + name);
        inode[name] = session.stat("/" + name).inode;
      }
      for (const char* name : {"gone", "lost", "counted", "double"}) {
        make_directory(session, (std::string("/") + name).c_str());
        inode[name] = session.stat(std::string("/") + name).inode;
      }
      make_file(session, "/gone/below", "text of below");
      make_file(session, "/lost/child", "text of child");
      inode["below"] = session.stat("/gone/below").inode;
      REQUIRE(benchfs_link(session, "/settled", "/settled-2") == 0);
      check_clean(session);
    }
    cluster.stop();
    const auto at = [&](const std::string& name) { return find(cluster, kServers, name); };
    const auto next = [](int server) { return (server + 1) % kServers; };
    const auto entry_of = [&](const std::string& name, auto change) {
      const Place place = at(name);
      edit(cluster, place.server, [&](MetaStore& store) { change(store, place.entry); });
      return place;
    };
    const auto remove_inode = [](MetaStore& store, InodeId number) {
      const auto found = store.inode(number);
      REQUIRE(found.has_value());
      store.remove_inode(*found);
    };
    const auto set_links = [](MetaStore& store, InodeId number, std::uint32_t links) {
      auto found = store.inode(number);
      REQUIRE(found.has_value());
      found->attributes.nlink = links;
      store.update_inode(*found);
    };
    // Their inodes are where their entries are: nothing was renamed.
    entry_of("dangling", [&](MetaStore& store, Entry entry) { remove_inode(store, entry.inode); });
    entry_of("gone", [&](MetaStore& store, Entry entry) {
      remove_inode(store, entry.inode);
      store.remove_entry(kRootInode, "gone");
    });
    for (const char* name : {"moved", "twice"}) {
      const Place place = at(name);
      edit(cluster, next(place.server),
           [&](MetaStore& store) { store.put_entry(kRootInode, name, place.entry); });
      if (std::string_view(name) == "twice") continue;
      edit(cluster, place.server, [&](MetaStore& store) { store.remove_entry(kRootInode, name); });
    }
    entry_of("typed", [](MetaStore& store, Entry entry) {
      store.put_entry(kRootInode, "typed", {entry.inode, S_IFLNK});
    });
    for (const char* name : {"orphan", "lost"}) {
      entry_of(name, [&](MetaStore& store, Entry) { store.remove_entry(kRootInode, name); });
    }
    entry_of("linked", [&](MetaStore& store, Entry entry) { set_links(store, entry.inode, 5); });
    entry_of("counted", [&](MetaStore& store, Entry entry) { set_links(store, entry.inode, 7); });
    entry_of("second", [&](MetaStore& store, Entry entry) {
      remove_inode(store, entry.inode);
      store.put_entry(kRootInode, "second", {inode["double"], S_IFDIR});
    });
    const Place settled = at("settled");
    Inode copy;
    edit(cluster, settled.server,
         [&](MetaStore& store) { copy = *store.inode(settled.entry.inode); });
    edit(cluster, next(settled.server), [&](MetaStore& store) { store.create_inode(copy); });
    const InodeId never = inode["orphan"] + (InodeId{1} << 40);
    const std::string chunk = cluster.data_dir(1) + "/" + FileChunks::path_of(never);
    std::filesystem::create_directories(std::filesystem::path(chunk).parent_path());
    std::ofstream(chunk) << "data of nobody";
    // The data of what is gone are without a file, too.
    const Kinds wanted = {
        {BENCHFS_FSCK_DANGLING_ENTRY, inode["dangling"]},
        {BENCHFS_FSCK_ORPHAN_DATA, inode["dangling"]},
        {BENCHFS_FSCK_NO_DIRECTORY, inode["below"]},
        {BENCHFS_FSCK_MISPLACED_ENTRY, inode["moved"]},
        {BENCHFS_FSCK_MISPLACED_ENTRY, inode["twice"]},
        {BENCHFS_FSCK_WRONG_LINKS, inode["twice"]},
        {BENCHFS_FSCK_WRONG_TYPE, inode["typed"]},
        {BENCHFS_FSCK_ORPHAN_INODE, inode["orphan"]},
        {BENCHFS_FSCK_ORPHAN_INODE, inode["lost"]},
        {BENCHFS_FSCK_WRONG_LINKS, inode["linked"]},
        {BENCHFS_FSCK_WRONG_LINKS, inode["counted"]},
        {BENCHFS_FSCK_SECOND_ENTRY, inode["double"]},
        {BENCHFS_FSCK_ORPHAN_DATA, inode["second"]},
        {BENCHFS_FSCK_MISPLACED_INODE, inode["settled"]},
        {BENCHFS_FSCK_ORPHAN_DATA, never},
    };
    cluster.start();
    Session session(cluster);
    for (int i = 0; i < 2; ++i) {  // to look changes nothing
      const Checked seen = check(session);
      CHECK_MESSAGE(seen.kinds() == wanted, seen.texts());
      CHECK(seen.result.corrected == 0);
      CHECK(seen.result.undecided == 0);
      CHECK_FALSE(exists(session, "/lost+found"));
    }

    const Checked mended = check(session, BENCHFS_FSCK_REPAIR);
    for (const Found& each : mended.found) {
      CAPTURE(each.text);
      CHECK_MESSAGE(each.corrected == (each.kind != BENCHFS_FSCK_MISPLACED_INODE), each.outcome);
      CHECK_FALSE(each.outcome.empty());
    }
    // Without its entry the file has none; and where an entry went, the count is right.
    const auto count_of = [&](int kind) {
      return std::ranges::count_if(mended.found,
                                   [&](const Found& each) { return each.kind == kind; });
    };
    CHECK(count_of(BENCHFS_FSCK_ORPHAN_INODE) == 3);
    CHECK(count_of(BENCHFS_FSCK_WRONG_LINKS) == 2);
    CHECK(mended.result.corrected == mended.result.findings - 1);

    const Checked after = check(session);
    const Kinds copy_alone = {{BENCHFS_FSCK_MISPLACED_INODE, inode["settled"]}};
    CHECK_MESSAGE(after.kinds() == copy_alone, after.texts());
    CHECK_FALSE(exists(session, "/dangling"));
    CHECK(session.stat("/moved").inode == inode["moved"]);
    CHECK(session.stat("/twice").inode == inode["twice"]);
    CHECK(session.stat("/linked").nlink == 1);
    CHECK(session.stat("/counted").nlink == 2);
    CHECK(session.stat("/settled").nlink == 2);
    CHECK(exists(session, "/double") != exists(session, "/second"));
    CHECK_FALSE(std::filesystem::exists(chunk));
    const auto text_of = [&](const std::string& path) {
      benchfs_file_t* file = session.open(path, O_RDONLY);
      std::string text(64, '\0');
      const std::int64_t bytes = benchfs_pread(file, text.data(), text.size(), 0);
      CHECK(benchfs_close(file) == 0);
      text.resize(bytes > 0 ? static_cast<std::size_t>(bytes) : 0);
      return text;
    };
    const std::string lost = "/lost+found/#";
    CHECK(text_of(lost + std::to_string(inode["orphan"])) == "text of orphan");
    CHECK(text_of(lost + std::to_string(inode["below"])) == "text of below");
    CHECK(text_of(lost + std::to_string(inode["lost"]) + "/child") == "text of child");
    CHECK(text_of("/typed") == "text of typed");

    // The copy of the inode can only be taken away by hand.
    cluster.stop();
    edit(cluster, next(settled.server), [&](MetaStore& store) { store.remove_inode(copy); });
    cluster.start();
    Session last(cluster);
    check_clean(last);
  }

  TEST_CASE("fsck: what is written to a file that was removed while it was open leaves nothing") {
    Cluster cluster(kServers);
    Session session(cluster), other(cluster);
    const std::vector<unsigned char> data = pattern(300'000, 1);
    for (const std::uint64_t bytes : {std::uint64_t{10}, std::uint64_t{data.size()}}) {
      CAPTURE(bytes);
      benchfs_file_t* file = session.open("/file", O_WRONLY | O_CREAT, 65536);
      benchfs_file_t* second = other.open("/file", O_WRONLY);
      REQUIRE(benchfs_unlink(other, "/file") == 0);
      for (benchfs_file_t* each : {file, second}) {
        const std::int64_t written = benchfs_pwrite(each, data.data(), bytes, 0);
        CHECK((written == static_cast<std::int64_t>(bytes) || written == -ENOENT));
      }
      CHECK(benchfs_close(file) == 0);
      CHECK(benchfs_close(second) == 0);
      check_clean(session);
    }
  }

  TEST_CASE("fsck: what is not finished is not a fault, and is said to be undecided") {
    Cluster cluster(2);
    InodeId number = 0;
    {
      Session session(cluster);
      make_file(session, "/file", "text");
      number = session.stat("/file").inode;
    }
    cluster.stop();
    const Place place = find(cluster, 2, "file");
    edit(cluster, place.server, [&](MetaStore& store) {
      store.remove_entry(kRootInode, "file");
      store.put_applied({77, {number, S_IFREG}});  // as in the middle of an exchange
    });
    cluster.start();
    {
      Session session(cluster);
      const Checked seen = check(session, BENCHFS_FSCK_REPAIR);
      CHECK_MESSAGE(seen.found.empty(), seen.texts());
      CHECK(seen.result.undecided == 1);
    }
    cluster.stop();
    edit(cluster, place.server, [](MetaStore& store) { store.remove_applied(77); });
    cluster.start();
    Session session(cluster);
    const Kinds orphan = {{BENCHFS_FSCK_ORPHAN_INODE, number}};
    CHECK(check(session).kinds() == orphan);
    CHECK(benchfs_fsck(session, 6, nullptr, nullptr, nullptr) == -EINVAL);
  }
}

}  // namespace
}  // namespace benchfs::test
