// Listing and removing directories, symbolic links, changes of attributes: one server of two, with
// the other one played by the test.
#include <cstring>
#include <map>
#include <set>

#include "metadata/namespace.hpp"
#include "metadata/namespace_fixture.hpp"

namespace benchfs {
namespace {

using namespace metadata_test;

using Attributes = wire::SetAttributes;
using Listing = wire::ReadDirectory;
using Mark = wire::MarkDirectory;

struct Listed {
  std::string name;
  wire::DirectoryEntry head;
  wire::Attributes attributes;
};

struct NamesFixture : NamespaceFixture {
  std::vector<Listed> unpack(const Namespace::Page& page) {
    std::vector<Listed> entries;
    std::size_t at = 0;
    while (at < page.entries.size()) {
      Listed one{};
      std::memcpy(&one.head, page.entries.data() + at, sizeof(one.head));
      at += sizeof(one.head);
      if (one.head.attributes_here != 0) {
        std::memcpy(&one.attributes, page.entries.data() + at, sizeof(one.attributes));
        at += sizeof(one.attributes);
      }
      one.name.assign(reinterpret_cast<const char*>(page.entries.data() + at), one.head.name_bytes);
      at += (one.head.name_bytes + 7u) / 8 * 8;
      entries.push_back(one);
    }
    CHECK(at == page.entries.size());
    CHECK(page.reply.bytes == page.entries.size());
    CHECK(page.reply.entries == entries.size());
    return entries;
  }
  Result<Namespace::Page> page(InodeId directory, std::string_view after, std::uint32_t bytes,
                               std::uint32_t flags = 0) {
    return run(names->read_directory({directory, bytes, flags}, after));
  }
  InodeId make_directory(std::string_view name) {
    const auto made = run(names->make_directory({parent, 0755, 0}, name, kOwner));
    REQUIRE(made.has_value());
    return made->attributes.inode;
  }
  /// A name below `directory` whose entry is here.
  std::string name_below(InodeId directory) const {
    std::string name = "x";
    while (map.owner(entry_slot(directory, name)) != kSelf) name += 'x';
    return name;
  }
  Result<wire::Open::Reply> create_below(InodeId directory) {
    const std::string name = name_below(directory);
    return run(names->open({directory, 0, 0644, wire::Open::kCreate}, name, kOwner));
  }
  Result<wire::Symlink::Reply> link(std::string_view name, std::string_view target) {
    const std::string both = std::string(name) + std::string(target);
    return run(
        names->make_link({parent, static_cast<std::uint32_t>(name.size()), 0}, both, kOwner));
  }
};

TEST_SUITE("names") {
  TEST_CASE_FIXTURE(NamesFixture,
                    "list: pages go on after the last name and tell each entry once") {
    std::set<std::string> expected;
    for (int i = 0; i < 50; ++i) {
      expected.insert(name_of(kSelf, i));
      create(name_of(kSelf, i));
    }
    std::set<std::string> seen;
    std::string after;
    int pages = 0;
    for (bool more = true; more; ++pages) {
      const auto got = page(parent, after, wire::kDirectoryEntryMax);
      REQUIRE(got.has_value());
      for (const Listed& one : unpack(*got)) {
        CHECK(one.name > after);
        CHECK(seen.insert(one.name).second);
        CHECK(one.head.type == S_IFREG);
        CHECK(one.head.attributes_here == 0);
        after = one.name;
      }
      more = got->reply.more != 0;
    }
    CHECK(seen == expected);
    CHECK(pages > 3);
    CHECK(page(parent, after, 4096)->reply.entries == 0);
  }

  TEST_CASE_FIXTURE(NamesFixture, "list: attributes come along, of links and directories too") {
    const InodeId file = create(name_of(kSelf, 1));
    set_size(file, wire::SetSize::kMerge, 77);
    make_directory(name_of(kSelf, 2));
    REQUIRE(link(name_of(kSelf, 3), "there").has_value());
    std::map<std::string, Listed> seen;
    for (const Listed& one : unpack(*page(parent, {}, 65536, Listing::kAttributes))) {
      CHECK(one.head.attributes_here == 1);
      CHECK(one.attributes.inode == one.head.inode);
      CHECK((one.attributes.mode & S_IFMT) == one.head.type);
      seen[one.name] = one;
    }
    CHECK(seen.size() == 3);
    CHECK(seen[name_of(kSelf, 1)].attributes.size == 77);
    CHECK(seen[name_of(kSelf, 2)].head.type == S_IFDIR);
    CHECK(seen[name_of(kSelf, 3)].head.type == S_IFLNK);
    CHECK(seen[name_of(kSelf, 3)].attributes.size == 5);
  }

  TEST_CASE_FIXTURE(NamesFixture,
                    "list: changes of the same turn are seen, once they are written") {
    const std::string kept = name_of(kSelf, 1);
    const std::string gone = name_of(kSelf, 2);
    create(gone);
    auto making = opening(kept, wire::Open::kCreate);
    auto removing = names->unlink(parent, gone);
    auto listing = names->read_directory({parent, 4096, 0}, {});
    loop->run_until([&] { return making.done() && removing.done() && listing.done(); });
    const auto entries = unpack(*listing.take());
    REQUIRE(entries.size() == 1);
    CHECK(entries[0].name == kept);
    CHECK(making.take().has_value());
    CHECK(removing.take().has_value());
  }

  TEST_CASE_FIXTURE(NamesFixture, "list: entries of other directories are not told") {
    create(name_of(kSelf));
    CHECK(page(parent + 1, {}, 4096)->reply.entries == 0);
    CHECK(page(parent - 1, {}, 4096)->reply.entries == 0);
  }

  TEST_CASE_FIXTURE(NamesFixture, "list: what is no directory, and bad requests") {
    const InodeId file = create(name_of(kSelf));
    CHECK(code(page(file, {}, 4096)) == Errc::not_directory);
    CHECK(code(page(file + 1000, {}, 4096)) == Errc::not_found);
    CHECK(code(page(parent, {}, wire::kDirectoryEntryMax - 1)) == Errc::invalid);
    CHECK(code(page(parent, "a/b", 4096)) == Errc::invalid);
    CHECK(code(page(parent, {}, 4096, 8)) == Errc::bad_message);
    CHECK(page(parent, {}, 0xffffffff)->reply.entries == 1);
  }

  TEST_CASE_FIXTURE(NamesFixture, "rmdir: an empty directory goes, and takes no entries any more") {
    const std::string name = name_of(kSelf);
    const InodeId directory = make_directory(name);
    REQUIRE(run(names->remove_directory(parent, name)).has_value());
    CHECK(code(run(names->lookup(parent, name))) == Errc::not_found);
    CHECK(code(run(names->attributes(directory))) == Errc::not_found);
    CHECK(code(create_below(directory)) == Errc::not_found);
    CHECK(code(run(names->remove_directory(parent, name))) == Errc::not_found);
    drain();
    CHECK(mark_peers.told == std::vector<FakeMarks::Told>{{1, directory, Mark::kClose},
                                                          {1, directory, Mark::kRemoved}});
    CHECK(store->removals()->empty());
    close();
    open();
    CHECK(code(create_below(directory)) == Errc::not_found);
    CHECK(make_directory(name) != directory);
  }

  TEST_CASE_FIXTURE(NamesFixture, "rmdir: a directory with entries here is refused at once") {
    const std::string name = name_of(kSelf);
    const InodeId directory = make_directory(name);
    REQUIRE(create_below(directory).has_value());
    CHECK(code(run(names->remove_directory(parent, name))) == Errc::not_empty);
    CHECK(mark_peers.told.empty());
    REQUIRE(run(names->unlink(directory, name_below(directory))).has_value());
    CHECK(run(names->remove_directory(parent, name)).has_value());
  }

  TEST_CASE_FIXTURE(NamesFixture,
                    "rmdir: with entries or no answer elsewhere the directory stays") {
    const std::string name = name_of(kSelf);
    const InodeId directory = make_directory(name);
    for (const Errc cause : {Errc::not_empty, Errc::unreachable}) {
      mark_peers.told.clear();
      mark_peers.close_error = cause;
      mark_peers.failures = 2;
      const auto refused = run(names->remove_directory(parent, name));
      CHECK(code(refused) == cause);
      CHECK(refused.error().server == 1);
      CHECK(store->removals()->size() == 1);
      drain();  // told again until it was heard
      CHECK(mark_peers.told.size() == 4);
      CHECK(mark_peers.told.back() == FakeMarks::Told{1, directory, Mark::kRelease});
      CHECK(store->removals()->empty());
      CHECK(store->marks()->empty());
    }
    CHECK(create_below(directory).has_value());
  }

  TEST_CASE_FIXTURE(NamesFixture, "rmdir: while it is not decided nobody makes an entry") {
    const std::string name = name_of(kSelf);
    const InodeId directory = make_directory(name);
    Event hold;
    mark_peers.hold = &hold;
    mark_peers.close_error = Errc::not_empty;
    auto removing = names->remove_directory(parent, name);
    while (mark_peers.told.empty()) loop->turn();
    CHECK(code(create_below(directory)) == Errc::being_removed);
    CHECK(code(run(names->remove_directory(parent, name))) == Errc::being_removed);
    CHECK_FALSE(removing.done());
    hold.set();
    loop->run_until([&] { return removing.done(); });
    CHECK(code(removing.take()) == Errc::not_empty);
    CHECK(create_below(directory).has_value());
    drain();
  }

  TEST_CASE_FIXTURE(NamesFixture, "rmdir: a removal that a crash left undecided is undone") {
    const std::string name = name_of(kSelf);
    const InodeId directory = make_directory(name);
    store->put_mark({directory, 42, DirectoryMark::State::closed, 1});
    store->put_removal({42, directory, DirectoryMark::State::closed});
    close();
    open();
    drain();
    CHECK(mark_peers.told == std::vector<FakeMarks::Told>{{1, directory, Mark::kRelease}});
    CHECK(store->removals()->empty());
    CHECK(create_below(directory).has_value());
  }

  TEST_CASE_FIXTURE(NamesFixture, "rmdir: a decided removal is told after a crash") {
    const InodeId directory = make_directory(name_of(kSelf));
    mark_peers.failures = 1'000'000;
    REQUIRE(run(names->remove_directory(parent, name_of(kSelf))).has_value());
    close();
    mark_peers.failures = 0;
    mark_peers.told.clear();
    open();
    drain();
    CHECK(mark_peers.told == std::vector<FakeMarks::Told>{{1, directory, Mark::kRemoved}});
    CHECK(store->removals()->empty());
  }

  TEST_CASE_FIXTURE(NamesFixture, "rmdir: what is not there, and what is no directory") {
    CHECK(code(run(names->remove_directory(parent, name_of(kSelf)))) == Errc::not_found);
    create(name_of(kSelf));
    CHECK(code(run(names->remove_directory(parent, name_of(kSelf)))) == Errc::not_directory);
    REQUIRE(link(name_of(kSelf, 2), "x").has_value());
    CHECK(code(run(names->remove_directory(parent, name_of(kSelf, 2)))) == Errc::not_directory);
    CHECK(code(run(names->remove_directory(parent, name_of(1)))) == Errc::stale_epoch);
  }

  TEST_CASE_FIXTURE(NamesFixture, "marks: a closed directory opens again, or is gone") {
    const InodeId directory = parent;  // led from elsewhere
    const auto mark = [&](std::uint64_t token, std::uint32_t operation) {
      return run(removals->mark(directory, token, operation));
    };
    CHECK(mark(1, Mark::kClose).has_value());
    CHECK(mark(1, Mark::kClose).has_value());
    CHECK(code(mark(2, Mark::kClose)) == Errc::being_removed);
    CHECK(code(open_file(name_of(kSelf), wire::Open::kCreate)) == Errc::being_removed);
    close();
    open();
    CHECK(code(open_file(name_of(kSelf), wire::Open::kCreate)) == Errc::being_removed);
    CHECK(mark(2, Mark::kRelease).has_value());  // of another removal: changes nothing
    CHECK(code(open_file(name_of(kSelf), wire::Open::kCreate)) == Errc::being_removed);
    CHECK(mark(1, Mark::kRelease).has_value());
    CHECK(open_file(name_of(kSelf), wire::Open::kCreate).has_value());
    CHECK(code(mark(1, Mark::kClose)) == Errc::canceled);  // overtaken by its release
    CHECK(code(mark(3, Mark::kClose)) == Errc::not_empty);
    REQUIRE(run(names->unlink(parent, name_of(kSelf))).has_value());
    CHECK(mark(3, Mark::kClose).has_value());
    CHECK(mark(3, Mark::kRemoved).has_value());
    CHECK(mark(3, Mark::kRemoved).has_value());
    CHECK(code(open_file(name_of(kSelf), wire::Open::kCreate)) == Errc::not_found);
    CHECK(code(mark(4, Mark::kClose)) == Errc::not_found);
    CHECK(code(mark(5, 9)) == Errc::bad_message);
    drain();
  }

  TEST_CASE_FIXTURE(NamesFixture, "links: target, attributes, and what they refuse") {
    const std::string name = name_of(kSelf);
    const auto made = link(name, "../a/b");
    REQUIRE(made.has_value());
    const InodeId inode = made->attributes.inode;
    CHECK(made->attributes.mode == (S_IFLNK | 0777));
    CHECK(made->attributes.size == 6);
    CHECK(code(link(name, "c")) == Errc::exists);
    close();
    open();
    CHECK(run(names->lookup(parent, name))->type == S_IFLNK);
    CHECK(*run(names->read_link(inode)) == "../a/b");
    CHECK(code(open_file(name, wire::Open::kCreate)) == Errc::loop);
    CHECK(code(open_file(name, wire::Open::kCreate | wire::Open::kExclusive)) == Errc::exists);
    CHECK(code(set_size(inode, wire::SetSize::kTruncate, 0)) == Errc::invalid);
    CHECK(code(link(name_of(kSelf, 2), "")) == Errc::not_found);
    CHECK(code(link(name_of(kSelf, 2), std::string(3841, 'x'))) == Errc::name_too_long);
    CHECK(code(link(name_of(kSelf, 2), std::string_view("a\0b", 3))) == Errc::invalid);
    CHECK(link(name_of(kSelf, 2), std::string(3840, 'x')).has_value());
    CHECK(code(run(names->make_link({parent, 9, 0}, "short", kOwner))) == Errc::bad_message);
    const InodeId file = create(name_of(kSelf, 3));
    CHECK(code(run(names->read_link(file))) == Errc::invalid);
    CHECK(code(run(names->read_link(file + 1000))) == Errc::not_found);
    CHECK(code(run(names->read_link(parent))) == Errc::stale_epoch);
    REQUIRE(run(names->unlink(parent, name)).has_value());
    CHECK(code(run(names->read_link(inode))) == Errc::not_found);
    CHECK(store->target(inode).error().code == Errc::not_found);
    CHECK(store->drops()->empty());
  }

  TEST_CASE_FIXTURE(NamesFixture, "attributes: what is named changes, and the change time always") {
    const InodeId inode = create(name_of(kSelf));
    const auto before = run(names->attributes(inode))->attributes;
    const auto set = [&](Attributes::Request request, Namespace::Owner who = kOwner) {
      request.inode = inode;
      return run(names->set_attributes(request, who));
    };
    auto now = set({0, Attributes::kMode, 0601, 0, 0, 0, 0})->attributes;
    CHECK(now.mode == (S_IFREG | 0601));
    CHECK(now.mtime_ns == before.mtime_ns);
    CHECK(now.ctime_ns > before.ctime_ns);
    now = set({0, Attributes::kAtime | Attributes::kMtime, 0, 0, 0, 5, -7})->attributes;
    CHECK(now.atime_ns == 5);
    CHECK(now.mtime_ns == -7);
    CHECK(now.ctime_ns > before.ctime_ns);
    now = set({0, Attributes::kMtimeNow, 0, 0, 0, 0, 0})->attributes;
    CHECK(now.atime_ns == 5);
    CHECK(now.mtime_ns == now.ctime_ns);
    const auto kept = now.ctime_ns;
    CHECK(set({0, 0, 0, 0, 0, 0, 0})->attributes.ctime_ns == kept);
    close();
    open();
    CHECK(run(names->attributes(inode))->attributes.mode == (S_IFREG | 0601));
    CHECK(run(names->attributes(inode))->attributes.ctime_ns == kept);
    CHECK(code(set({0, 128, 0, 0, 0, 0, 0})) == Errc::bad_message);
    CHECK(code(set({0, Attributes::kMode, 0100644, 0, 0, 0, 0})) == Errc::bad_message);
  }

  TEST_CASE_FIXTURE(NamesFixture, "attributes: owners and groups by POSIX") {
    const InodeId inode = create(name_of(kSelf));
    const auto set = [&](Attributes::Request request, Namespace::Owner who = kOwner) {
      request.inode = inode;
      return run(names->set_attributes(request, who));
    };
    REQUIRE(set({0, Attributes::kMode, 06755, 0, 0, 0, 0}).has_value());
    CHECK(code(set({0, Attributes::kUid, 0, 1001, 0, 0, 0})) == Errc::not_permitted);
    CHECK(code(set({0, Attributes::kGid, 0, 0, 300, 0, 0})) == Errc::not_permitted);
    CHECK(code(set({0, Attributes::kMode, 0600, 0, 0, 0, 0}, {1001, 100})) == Errc::not_permitted);
    auto now = set({0, Attributes::kUid | Attributes::kGid, 0, 1000, 200, 0, 0});
    REQUIRE(now.has_value());
    CHECK(now->attributes.gid == 200);
    CHECK(now->attributes.mode == (S_IFREG | 0755));  // nobody's rights are lent any more
    now = set({0, Attributes::kUid | Attributes::kGid, 0, 7, 8, 0, 0}, {0, 0});
    CHECK(now->attributes.uid == 7);
    CHECK(now->attributes.gid == 8);
    const auto symlink = link(name_of(kSelf, 2), "x");
    Attributes::Request mode{};
    mode.inode = symlink->attributes.inode;
    mode.which = Attributes::kMode;
    CHECK(code(run(names->set_attributes(mode, kOwner))) == Errc::not_supported);
    mode.inode = parent;
    CHECK(code(run(names->set_attributes(mode, kOwner))) == Errc::stale_epoch);
    mode.inode = inode + 1000;
    CHECK(code(run(names->set_attributes(mode, kOwner))) == Errc::not_found);
  }
}

}  // namespace
}  // namespace benchfs
