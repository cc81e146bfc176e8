// What a server tells a check: pages of everything, one record as it is, what is not finished; and
// the repairs, which are refused when things are not as the caller has seen them.
#include "check_service.hpp"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>

#include "metadata/namespace_fixture.hpp"
#include "storage/file_chunks.hpp"

namespace benchfs::metadata_test {
namespace {

using wire::Repair;
using wire::Scan;

struct CheckFixture : NamespaceFixture {
  CheckService service{*store, *chunks, *moves, *removals, *offload, map, {.self = kSelf}};

  Result<CheckService::Page> page(std::uint32_t kind, InodeId after, std::string name = {},
                                  std::uint32_t bytes_max = wire::kScanRecordMax,
                                  std::uint32_t exact = 0) {
    return run(service.scan_page({after, kind, bytes_max, exact, 0}, std::move(name)));
  }
  /// All records of the kind, each as (first word, name); smallest pages.
  std::vector<std::pair<InodeId, std::string>> all(std::uint32_t kind) {
    std::vector<std::pair<InodeId, std::string>> found;
    InodeId after = 0;
    std::string name;
    for (bool more = true; more;) {
      const auto got = page(kind, after, name);
      REQUIRE(got.has_value());
      CHECK(got->reply.bytes == got->records.size());
      CHECK(got->records.size() <= wire::kScanRecordMax);
      std::uint32_t records = 0;
      for (std::size_t at = 0; at < got->records.size(); ++records) {
        const std::byte* from = got->records.data() + at;
        std::memcpy(&after, from, sizeof(after));
        if (kind == Scan::kEntries) {
          wire::ScannedEntry entry;
          std::memcpy(&entry, from, sizeof(entry));
          name.assign(reinterpret_cast<const char*>(from) + sizeof(entry), entry.name_bytes);
          at += sizeof(entry) + (entry.name_bytes + 7) / 8 * 8;
        } else {
          at += kind == Scan::kInodes ? sizeof(wire::ScannedInode)
                : kind == Scan::kData ? sizeof(wire::ScannedData)
                                      : sizeof(InodeId);
        }
        found.emplace_back(after, name);
      }
      CHECK(records == got->reply.records);
      more = got->reply.more != 0;
    }
    return found;
  }
  Status repair(Repair::Request request, std::string name = {}) {
    return run(service.carry_out(request, std::move(name)));
  }
};

TEST_SUITE("check service") {
  TEST_CASE_FIXTURE(CheckFixture, "scan: pages have every entry and inode once, in order") {
    std::set<std::string> made;
    std::set<InodeId> inodes;
    for (int i = 0; i < 60; ++i) {
      std::string name = name_of(kSelf, i);
      if (i % 7 == 0) name = name_of(kSelf, i) + std::string(200, 'x');
      if (map.owner(entry_slot(parent, name)) != kSelf) continue;
      inodes.insert(create(name));
      made.insert(name);
    }
    // What lies beside an inode is no inode.
    const std::string link = name_of(kSelf, 500);
    const auto linked = run(names->make_link({parent, static_cast<std::uint32_t>(link.size()), 0},
                                             link + "to", kOwner));
    REQUIRE(linked.has_value());
    made.insert(link);
    inodes.insert(linked->attributes.inode);

    const auto entries = all(Scan::kEntries);
    CHECK(std::is_sorted(entries.begin(), entries.end()));
    std::set<std::string> told;
    for (const auto& [directory, name] : entries) {
      CHECK(directory == parent);
      CHECK(told.insert(name).second);
    }
    CHECK(told == made);

    if (map.home(kRootInode) == kSelf) inodes.insert(kRootInode);
    std::vector<InodeId> numbers;
    for (const auto& [inode, none] : all(Scan::kInodes)) numbers.push_back(inode);
    CHECK(numbers == std::vector<InodeId>(inodes.begin(), inodes.end()));
  }

  TEST_CASE_FIXTURE(CheckFixture, "scan: files with data, also those that others have put there") {
    std::set<InodeId> files;
    const auto data = random_bytes(4096, 1);
    for (InodeId i = 1; i <= 50; ++i) {
      const InodeId inode = make_inode(static_cast<Slot>(i * 37), 1000 + i);
      REQUIRE(run(chunks->write(inode, 0, data)).has_value());
      files.insert(inode);
    }
    const InodeId spread = make_inode(9, 77);
    REQUIRE(run(chunks->write(spread, 0, random_bytes(3 << 20, 2))).has_value());
    files.insert(spread);
    const InodeId foreign = make_inode(3, 4711);
    const std::string path = dir.path() + "/" + FileChunks::path_of(foreign);
    std::ofstream(path) << std::string(5000, 'x');
    std::ofstream(std::filesystem::path(path).parent_path() / "notes.txt") << "not a chunk file";
    files.insert(foreign);

    std::set<InodeId> told;
    for (const auto& [inode, none] : all(Scan::kData)) CHECK(told.insert(inode).second);
    CHECK(told == files);
    const auto one = page(Scan::kData, foreign, {}, wire::kScanRecordMax, 1);
    REQUIRE(one->records.size() == sizeof(wire::ScannedData));
    CHECK(page(Scan::kData, foreign + 1, {}, wire::kScanRecordMax, 1)->records.empty());
    // It is known from now on, and can go.
    CHECK(run(chunks->remove(foreign)).has_value());
    CHECK_FALSE(std::filesystem::exists(path));
  }

  TEST_CASE_FIXTURE(CheckFixture, "scan: one record as it is now, also before it is written") {
    const std::string name = name_of(kSelf);
    REQUIRE(open_file(name, wire::Open::kCreate).has_value());
    store->put_entry(parent, name, *store->entry(parent, name));
    REQUIRE(store->pending());
    const auto entry = page(Scan::kEntries, parent, name, wire::kScanRecordMax, 1);
    REQUIRE(entry.has_value());
    CHECK_FALSE(store->pending());
    REQUIRE(entry->reply.records == 1);
    wire::ScannedEntry told;
    std::memcpy(&told, entry->records.data(), sizeof(told));
    CHECK(told.parent == parent);
    CHECK(told.type == S_IFREG);
    CHECK(store->entry(parent, name)->inode == told.inode);
    const auto inode = page(Scan::kInodes, told.inode, {}, wire::kScanRecordMax, 1);
    REQUIRE(inode->reply.records == 1);
    CHECK(page(Scan::kInodes, told.inode + 1, {}, wire::kScanRecordMax, 1)->reply.records == 0);
    CHECK(page(Scan::kEntries, parent, "none", wire::kScanRecordMax, 1)->reply.records == 0);
  }

  TEST_CASE_FIXTURE(CheckFixture, "scan: what is not finished, and that renames are counted") {
    CHECK(all(Scan::kIntents).empty());
    const InodeId there = make_inode(static_cast<Slot>(parent >> 48), 900);
    store->put_move({.token = 5, .kind = MoveIntent::Kind::drop_link, .entry = {there, S_IFREG}});
    const DropIntent drop = store->add_drop({.inode = 77, .remove = true});
    store->put_removal({6, 78, DirectoryMark::State::closed});
    store->put_applied({7, {79, S_IFREG}});
    std::vector<std::pair<InodeId, std::string>> wanted;
    for (const InodeId inode : {InodeId{77}, InodeId{78}, InodeId{79}, there}) {
      wanted.emplace_back(inode, "");
    }
    CHECK(all(Scan::kIntents) == wanted);
    store->finish_drop(drop);
    store->remove_move(5);
    store->remove_removal(6);
    store->remove_applied(7);
    CHECK(all(Scan::kIntents).empty());

    const std::string from = name_of(kSelf, 1), to = name_of(kSelf, 2);
    create(from);
    const std::uint64_t before = page(Scan::kIntents, 0)->reply.changes;
    const auto bytes = static_cast<std::uint32_t>(from.size());
    REQUIRE(run(moves->rename({parent, parent, 0, bytes, 0}, from, to)).has_value());
    CHECK(page(Scan::kIntents, 0)->reply.changes > before);
  }

  TEST_CASE_FIXTURE(CheckFixture, "scan: requests that cannot be are refused") {
    CHECK(code(page(0, 0)) == Errc::bad_message);
    CHECK(code(page(5, 0)) == Errc::bad_message);
    CHECK(code(page(Scan::kInodes, 0, {}, wire::kScanRecordMax, 2)) == Errc::bad_message);
    CHECK(code(page(Scan::kInodes, 0, {}, wire::kScanRecordMax - 1)) == Errc::invalid);
    CHECK(code(page(Scan::kEntries, 0, std::string(256, 'n'))) == Errc::name_too_long);
  }

  TEST_CASE_FIXTURE(CheckFixture, "repair: a link count, if it is as it was seen") {
    const InodeId inode = create(name_of(kSelf));
    CHECK(code(repair({inode, 0, Repair::kSetLinks, 0, 3, 2})) == Errc::stale);
    CHECK(code(repair({inode, 0, Repair::kSetLinks, 0, 0, 1})) == Errc::invalid);
    CHECK(code(repair({inode + 1, 0, Repair::kSetLinks, 0, 3, 1})) == Errc::not_found);
    CHECK(code(repair({parent, 0, Repair::kSetLinks, 0, 3, 1})) == Errc::stale_epoch);
    CHECK(repair({inode, 0, Repair::kSetLinks, 0, 3, 1}).has_value());
    CHECK(run(names->attributes(inode))->attributes.nlink == 3);
    CHECK(repair({inode, 0, Repair::kSetLinks, 0, 3, 1}).has_value());  // again
  }

  TEST_CASE_FIXTURE(CheckFixture, "repair: entries, if they are as they were seen") {
    const std::string name = name_of(kSelf, 1), other = name_of(kSelf, 2);
    const InodeId inode = create(name);
    CHECK(code(repair({inode + 1, parent, Repair::kPutEntry, S_IFREG, 0, 0}, name)) ==
          Errc::exists);
    CHECK(code(repair({inode, parent, Repair::kPutEntry, S_IFSOCK, 0, 0}, other)) == Errc::invalid);
    CHECK(code(repair({inode, parent, Repair::kPutEntry, S_IFREG, 0, 0}, "..")) == Errc::invalid);
    CHECK(code(repair({inode, parent, Repair::kPutEntry, S_IFREG, 0, 0}, name_of(1))) ==
          Errc::stale_epoch);
    CHECK(code(repair({inode, parent, 9, 0, 0, 0}, name)) == Errc::bad_message);
    CHECK(repair({inode, parent, Repair::kPutEntry, S_IFREG, 0, 0}, other).has_value());
    CHECK(repair({inode, parent, Repair::kPutEntry, S_IFDIR, 0, 0}, other).has_value());
    CHECK(store->entry(parent, other)->type == S_IFDIR);
    CHECK(code(repair({inode + 1, parent, Repair::kRemoveEntry, 0, 0, 0}, other)) == Errc::stale);
    CHECK(repair({inode, parent, Repair::kRemoveEntry, 0, 0, 0}, other).has_value());
    CHECK(repair({inode, parent, Repair::kRemoveEntry, 0, 0, 0}, other).has_value());  // again
    CHECK(code(store->entry(parent, other)) == Errc::not_found);
    CHECK(run(names->attributes(inode))->attributes.nlink == 1);  // not its business

    // Below a directory that is just being removed nothing is put.
    REQUIRE(run(removals->mark(parent + 1, 8, wire::MarkDirectory::kClose)).has_value());
    std::string below = "x";
    while (map.owner(entry_slot(parent + 1, below)) != kSelf) below += 'x';
    CHECK(code(repair({inode, parent + 1, Repair::kPutEntry, S_IFREG, 0, 0}, below)) ==
          Errc::being_removed);
  }
}

}  // namespace
}  // namespace benchfs::metadata_test
