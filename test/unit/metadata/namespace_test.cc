// The namespace operations of one server of two, with the other one played by the test.
#include "metadata/namespace.hpp"

#include <algorithm>
#include <filesystem>

#include "metadata/namespace_fixture.hpp"
#include "storage/file_chunks.hpp"

namespace benchfs {
namespace {

using namespace metadata_test;

using Open = wire::Open;
using SetSize = wire::SetSize;

TEST_SUITE("namespace") {
  TEST_CASE_FIXTURE(
      NamespaceFixture,
      "namespace: a created file is found, with its attributes, after a restart too") {
    const std::string name = name_of(kSelf);
    const auto made = open_file(name, Open::kCreate | Open::kExclusive, 1u << 20);
    REQUIRE(made.has_value());
    CHECK(made->created == 1);
    CHECK(made->attributes_here == 1);
    CHECK(made->attributes.mode == (S_IFREG | 0640));
    CHECK(made->attributes.uid == 1000);
    CHECK(made->attributes.gid == 100);
    CHECK(made->attributes.nlink == 1);
    CHECK(made->attributes.size == 0);
    CHECK(made->attributes.chunk_bytes == 1u << 20);
    CHECK(home_slot(made->attributes.inode) == entry_slot(parent, name));
    close();
    open();
    const auto found = run(names->lookup(parent, name));
    REQUIRE(found.has_value());
    CHECK(found->inode == made->attributes.inode);
    CHECK(found->type == S_IFREG);
    CHECK(found->attributes_here == 1);
    CHECK(found->attributes.chunk_bytes == 1u << 20);
    const auto again = open_file(name, Open::kCreate);
    REQUIRE(again.has_value());
    CHECK(again->created == 0);
    CHECK(again->attributes.inode == made->attributes.inode);
    CHECK(code(open_file(name, Open::kCreate | Open::kExclusive)) == Errc::exists);
    CHECK(open_file(name, 0).has_value());
    CHECK(code(open_file(name_of(kSelf, 5), 0)) == Errc::not_found);
  }

  TEST_CASE_FIXTURE(NamespaceFixture,
                    "namespace: of two exclusive creates in one turn one makes the file") {
    const std::string name = name_of(kSelf);
    auto first = opening(name, Open::kCreate | Open::kExclusive);
    auto second = opening(name, Open::kCreate | Open::kExclusive);
    auto third = opening(name, Open::kCreate);
    loop->run_until([&] { return first.done() && second.done() && third.done(); });
    const auto made = first.take();
    REQUIRE(made.has_value());
    CHECK(code(second.take()) == Errc::exists);
    const auto shared = third.take();
    REQUIRE(shared.has_value());
    CHECK(shared->created == 0);
    CHECK(shared->attributes.inode == made->attributes.inode);
    CHECK(store->files() == 1);
  }

  TEST_CASE_FIXTURE(NamespaceFixture,
                    "namespace: create and unlink of one name in one turn happen in order") {
    const std::string name = name_of(kSelf);
    auto made = opening(name, Open::kCreate | Open::kExclusive);
    auto seen = names->lookup(parent, name);
    auto gone = names->unlink(parent, name);
    auto unseen = names->lookup(parent, name);
    auto again = opening(name, Open::kCreate | Open::kExclusive);
    loop->run_until(
        [&] { return again.done() && unseen.done() && gone.done() && seen.done() && made.done(); });
    const auto first = made.take();
    const auto second = again.take();
    REQUIRE(first.has_value());
    REQUIRE(second.has_value());
    CHECK(seen.take()->inode == first->attributes.inode);
    CHECK(gone.take().has_value());
    CHECK(code(unseen.take()) == Errc::not_found);
    CHECK(first->attributes.inode != second->attributes.inode);
    drain();
    CHECK(store->files() == 1);
  }

  TEST_CASE_FIXTURE(NamespaceFixture, "namespace: bad names and settings are refused") {
    const auto refusal = [&](std::string_view name) {
      return code(open_file(name, Open::kCreate));
    };
    CHECK(refusal("") == Errc::invalid);
    CHECK(refusal(".") == Errc::invalid);
    CHECK(refusal("..") == Errc::invalid);
    CHECK(refusal("a/b") == Errc::invalid);
    CHECK(refusal(std::string_view("a\0b", 3)) == Errc::invalid);
    CHECK(refusal(std::string(256, 'x')) == Errc::name_too_long);
    CHECK(code(run(names->lookup(parent, "a/b"))) == Errc::invalid);
    CHECK(code(run(names->unlink(parent, ".."))) == Errc::invalid);
    const std::string name = name_of(kSelf);
    CHECK(code(open_file(name, Open::kCreate, 3u << 20)) == Errc::invalid);
    CHECK(code(open_file(name, Open::kCreate, 32u << 10)) == Errc::invalid);
    CHECK(code(open_file(name, Open::kCreate, 256u << 20)) == Errc::invalid);
    CHECK(code(open_file(name, 1u << 20)) == Errc::bad_message);
    CHECK(store->files() == 0);
  }

  TEST_CASE_FIXTURE(NamespaceFixture, "namespace: what another server owns is refused as stale") {
    const std::string name = name_of(1);
    CHECK(code(open_file(name, Open::kCreate)) == Errc::stale_epoch);
    CHECK(code(run(names->lookup(parent, name))) == Errc::stale_epoch);
    CHECK(code(run(names->unlink(parent, name))) == Errc::stale_epoch);
    CHECK(code(run(names->make_directory({parent, 0755, 0}, name, kOwner))) == Errc::stale_epoch);
    CHECK(code(run(names->attributes(parent))) == Errc::stale_epoch);
    CHECK(code(set_size(parent, SetSize::kMerge, 1)) == Errc::stale_epoch);
    CHECK(code(run(names->mark_spread(parent))) == Errc::stale_epoch);
  }

  TEST_CASE_FIXTURE(NamespaceFixture, "namespace: directories") {
    const std::string name = name_of(kSelf);
    const auto made = run(names->make_directory({parent, 0751, 0}, name, kOwner));
    REQUIRE(made.has_value());
    CHECK(made->attributes.mode == (S_IFDIR | 0751));
    CHECK(made->attributes.nlink == 2);
    CHECK(code(run(names->make_directory({parent, 0751, 0}, name, kOwner))) == Errc::exists);
    CHECK(run(names->lookup(parent, name))->type == S_IFDIR);
    CHECK(code(open_file(name, Open::kCreate)) == Errc::is_directory);
    CHECK(code(run(names->unlink(parent, name))) == Errc::is_directory);
    CHECK(code(set_size(made->attributes.inode, SetSize::kTruncate, 0)) == Errc::is_directory);
    CHECK(code(set_size(made->attributes.inode, SetSize::kMerge, 9)) == Errc::is_directory);
    CHECK(store->files() == 0);
    const std::string file = name_of(kSelf, 2);
    create(file);
    CHECK(code(run(names->make_directory({parent, 0755, 0}, file, kOwner))) == Errc::exists);
  }

  TEST_CASE_FIXTURE(NamespaceFixture,
                    "namespace: a parent whose home is here must be a directory that exists") {
    const std::string name = name_of(kSelf);
    const InodeId file = create(name);
    std::string below = "x";
    while (map.owner(entry_slot(file, below)) != kSelf) below += 'x';
    CHECK(code(run(names->open({file, 0, 0644, Open::kCreate}, below, kOwner))) ==
          Errc::not_directory);
    const InodeId missing = file + 1000;
    below = "x";
    while (map.owner(entry_slot(missing, below)) != kSelf) below += 'x';
    CHECK(code(run(names->make_directory({missing, 0755, 0}, below, kOwner))) == Errc::not_found);
  }

  TEST_CASE("namespace: the root directory exists on the owner of slot 0 alone") {
    for (std::uint64_t seed = 0; seed < 8; ++seed) {
      NamespaceFixture fixture(seed);
      for (int start = 0; start < 2; ++start) {
        REQUIRE(fixture.run(fixture.names->start(NamespaceFixture::kOwner)).has_value());
      }
      const auto root = fixture.run(fixture.names->attributes(kRootInode));
      CHECK(root.has_value() == (fixture.map.owner(0) == NamespaceFixture::kSelf));
      if (root) CHECK(root->attributes.mode == (S_IFDIR | 0755));
    }
  }

  TEST_CASE_FIXTURE(NamespaceFixture,
                    "namespace: merge and extend only lengthen; times follow POSIX") {
    const InodeId inode = create(name_of(kSelf));
    const auto before = run(names->attributes(inode))->attributes;
    auto merged = set_size(inode, SetSize::kMerge, 100);
    REQUIRE(merged.has_value());
    CHECK(merged->attributes.size == 100);
    CHECK(merged->attributes.mtime_ns > before.mtime_ns);
    CHECK(merged->attributes.atime_ns == before.atime_ns);
    CHECK(set_size(inode, SetSize::kMerge, 50)->attributes.size == 100);
    CHECK(set_size(inode, SetSize::kMerge, 50)->attributes.mtime_ns > merged->attributes.mtime_ns);
    const auto kept = run(names->attributes(inode))->attributes.mtime_ns;
    CHECK(set_size(inode, SetSize::kExtend, 70)->attributes.mtime_ns == kept);
    CHECK(set_size(inode, SetSize::kExtend, 200)->attributes.mtime_ns > kept);
    CHECK(size_of(inode) == 200);
    CHECK(code(set_size(inode, SetSize::kMerge, kFileBytesMax + 1)) == Errc::too_big);
    CHECK(code(set_size(inode, 0, 1)) == Errc::bad_message);
    CHECK(code(set_size(inode, 4, 1)) == Errc::bad_message);
    CHECK(code(set_size(inode + 1, SetSize::kMerge, 1)) == Errc::not_found);
  }

  TEST_CASE_FIXTURE(NamespaceFixture,
                    "namespace: truncate drops the data here, and of a spread file everywhere") {
    const InodeId inode = create(name_of(kSelf));
    REQUIRE(run(chunks->write(inode, 0, random_bytes(1000, 1))).has_value());
    set_size(inode, SetSize::kMerge, 1000);
    REQUIRE(set_size(inode, SetSize::kTruncate, 10).has_value());
    std::vector<std::byte> into(1000);
    CHECK(*run(chunks->read(inode, 0, into)) == 10);
    CHECK(peers.told.empty());
    CHECK(size_of(inode) == 10);
    REQUIRE(run(names->mark_spread(inode)).has_value());
    CHECK(set_size(inode, SetSize::kTruncate, 5)->attributes.size == 5);
    CHECK(peers.told == std::vector<FakePeers::Told>{{1, inode, 5, false}});
    run(store->committed());
    CHECK(store->drops()->empty());
  }

  TEST_CASE_FIXTURE(NamespaceFixture,
                    "namespace: a merge waits for the truncate that is under way") {
    const InodeId inode = create(name_of(kSelf));
    run(names->mark_spread(inode));
    Event hold;
    peers.hold = &hold;
    auto truncating = names->set_size({inode, 5, SetSize::kTruncate, 0});
    auto merging = names->set_size({inode, 50, SetSize::kMerge, 0});
    auto second = names->set_size({inode, 7, SetSize::kTruncate, 0});
    auto third = names->set_size({inode, 8, SetSize::kTruncate, 0});
    while (loop->turn()) {
    }
    CHECK_FALSE(truncating.done());
    CHECK_FALSE(merging.done());
    CHECK(size_of(inode) == 5);
    CHECK(peers.told.size() == 1);  // the others have not begun
    hold.set();
    loop->run_until(
        [&] { return truncating.done() && merging.done() && second.done() && third.done(); });
    CHECK(truncating.take()->attributes.size == 5);
    CHECK(merging.take()->attributes.size == 50);
    CHECK(second.take().has_value());
    CHECK(third.take().has_value());
    CHECK(peers.told.size() == 3);
  }

  TEST_CASE_FIXTURE(
      NamespaceFixture,
      "namespace: a truncate that one server missed fails, blocks merges, and is repeated") {
    const InodeId inode = create(name_of(kSelf));
    run(names->mark_spread(inode));
    set_size(inode, SetSize::kMerge, 100);
    peers.failures = 4;
    const auto refused = set_size(inode, SetSize::kTruncate, 5);
    CHECK(code(refused) == Errc::unreachable);
    CHECK(refused.error().server == 1);
    CHECK(code(set_size(inode, SetSize::kMerge, 50)) == Errc::unreachable);
    CHECK(code(set_size(inode, SetSize::kTruncate, 50)) == Errc::unreachable);
    drain();
    CHECK(peers.told.size() == 5);
    CHECK(set_size(inode, SetSize::kMerge, 50)->attributes.size == 50);
    CHECK(store->drops()->empty());
  }

  TEST_CASE_FIXTURE(NamespaceFixture,
                    "namespace: what a crash left undone is done at the next start") {
    const InodeId shortened = create(name_of(kSelf, 1));
    const InodeId removed = create(name_of(kSelf, 2));
    REQUIRE(run(chunks->write(removed, 0, random_bytes(1000, 1))).has_value());
    store->add_drop({.inode = shortened, .size = 3, .remove = false, .spread = true});
    store->add_drop({.inode = shortened, .size = 2, .remove = false, .spread = true});
    store->add_drop({.inode = removed, .remove = true, .spread = false});
    peers.failures = 3;
    close();
    open();
    CHECK_FALSE(set_size(shortened, SetSize::kMerge, 50).has_value());
    drain();
    CHECK(peers.told.size() == 5);  // three tries failed, two succeeded
    CHECK(set_size(shortened, SetSize::kMerge, 50).has_value());
    CHECK(store->drops()->empty());
    CHECK_FALSE(std::filesystem::exists(dir.path() + "/" + FileChunks::path_of(removed)));
  }

  TEST_CASE_FIXTURE(NamespaceFixture,
                    "namespace: unlink answers at once; the data goes everywhere after it") {
    const std::string name = name_of(kSelf);
    const InodeId inode = create(name);
    run(names->mark_spread(inode));
    REQUIRE(run(chunks->write(inode, 0, random_bytes(1000, 1))).has_value());
    Event hold;
    peers.hold = &hold;
    peers.failures = 2;
    CHECK(run(names->unlink(parent, name)).has_value());
    CHECK(code(run(names->lookup(parent, name))) == Errc::not_found);
    CHECK(code(run(names->attributes(inode))) == Errc::not_found);
    CHECK(code(run(names->unlink(parent, name))) == Errc::not_found);
    CHECK(store->files() == 0);
    CHECK(store->drops()->size() == 1);
    CHECK(drops->waiting() == 1);
    hold.set();
    drain();
    CHECK(peers.told == std::vector<FakePeers::Told>(3, {1, inode, 0, true}));
    CHECK(store->drops()->empty());
    CHECK_FALSE(std::filesystem::exists(dir.path() + "/" + FileChunks::path_of(inode)));
  }

  TEST_CASE_FIXTURE(NamespaceFixture, "namespace: open with truncate empties the file first") {
    const std::string name = name_of(kSelf);
    const InodeId inode = create(name);
    REQUIRE(run(chunks->write(inode, 0, random_bytes(1000, 1))).has_value());
    set_size(inode, SetSize::kMerge, 1000);
    const auto opened = open_file(name, Open::kCreate | Open::kTruncate);
    REQUIRE(opened.has_value());
    CHECK(opened->created == 0);
    CHECK(opened->attributes.inode == inode);
    CHECK(opened->attributes.size == 0);
    std::vector<std::byte> into(10);
    CHECK(*run(chunks->read(inode, 0, into)) == 0);
  }

  TEST_CASE_FIXTURE(NamespaceFixture,
                    "namespace: stopping ends the tries and keeps what is not done") {
    const std::string name = name_of(kSelf);
    const InodeId inode = create(name);
    run(names->mark_spread(inode));
    peers.failures = 1'000'000;
    CHECK(run(names->unlink(parent, name)).has_value());
    close();
    peers.failures = 0;
    open();
    drain();
    CHECK(store->drops()->empty());
    CHECK(std::count(peers.told.begin(), peers.told.end(), FakePeers::Told{1, inode, 0, true}) >=
          2);
  }
}

}  // namespace
}  // namespace benchfs
