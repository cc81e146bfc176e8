// Files that are open when they lose their last name, at their home.
#include "metadata/holders.hpp"
#include "namespace_fixture.hpp"

namespace benchfs::metadata_test {
namespace {

constexpr std::uint64_t kFirst = 71, kSecond = 72;

struct OrphanFixture : NamespaceFixture {
  std::string name = name_of(kSelf);
  InodeId open_by(std::uint64_t session, std::uint32_t flags = wire::Open::kCreate) {
    Namespace::Owner owner = kOwner;
    owner.session = session;
    const auto opened = run(names->open({parent, 0, 0640, flags}, name, owner));
    REQUIRE(opened.has_value());
    return opened->attributes.inode;
  }
  Status unlink() { return run(names->unlink(parent, name)); }
  Status release(std::uint64_t session, InodeId inode) {
    return run(names->release(session, {&inode, 1}));
  }
  bool there(InodeId inode) { return run(names->attributes(inode)).has_value(); }
  std::uint32_t links_of(InodeId inode) { return run(names->attributes(inode))->attributes.nlink; }
};

TEST_SUITE("orphans") {
  TEST_CASE("holders: the last release of all sessions is told, and only that") {
    Holders holders;
    CHECK_FALSE(holders.held(5));
    holders.add(1, 5);
    holders.add(1, 5);
    holders.add(2, 5);
    holders.add(2, 6);
    CHECK(holders.files() == 2);
    CHECK_FALSE(holders.release(1, 5));
    CHECK_FALSE(holders.release(1, 5));
    CHECK_FALSE(holders.release(1, 5));  // once too often
    CHECK_FALSE(holders.release(9, 5));
    CHECK(holders.held(5));
    CHECK(holders.release(2, 5));
    CHECK_FALSE(holders.held(5));
    holders.add(1, 6);
    CHECK(holders.end_session(2).empty());
    CHECK(holders.end_session(2).empty());
    CHECK(holders.end_session(1) == std::vector<InodeId>{6});
    CHECK(holders.files() == 0);
  }

  TEST_CASE_FIXTURE(OrphanFixture, "orphans: the inode and its data go with the last close") {
    const InodeId inode = open_by(kFirst);
    CHECK(open_by(kSecond) == inode);
    CHECK(run(names->mark_spread(inode)).has_value());
    CHECK(unlink().has_value());
    drain();
    CHECK(links_of(inode) == 0);
    CHECK(store->files() == 1);
    CHECK(links->nameless() == 1);
    CHECK(peers.told.empty());
    // It can be changed, but gets no new name.
    CHECK(set_size(inode, wire::SetSize::kExtend, 100).has_value());
    CHECK(code(run(moves->link({inode, parent}, name_of(kSelf, 2)))) == Errc::not_found);
    CHECK(release(kFirst, inode).has_value());
    CHECK(there(inode));
    CHECK(release(kSecond, inode).has_value());
    CHECK_FALSE(there(inode));
    drain();
    CHECK(store->files() == 0);
    CHECK(peers.told == std::vector<FakePeers::Told>{{1, inode, 0, true}});
    CHECK(store->drops()->empty());
  }

  TEST_CASE_FIXTURE(OrphanFixture, "orphans: one that spreads only afterwards goes everywhere") {
    const InodeId inode = open_by(kFirst);
    CHECK(unlink().has_value());
    CHECK(run(names->mark_spread(inode)).has_value());
    SUBCASE("by its close") {
      CHECK(release(kFirst, inode).has_value());
    }
    SUBCASE("by a restart") {
      close();
      open();
    }
    drain();
    CHECK_FALSE(there(inode));
    CHECK(peers.told == std::vector<FakePeers::Told>{{1, inode, 0, true}});
  }

  TEST_CASE_FIXTURE(OrphanFixture, "orphans: the end of a session is its close") {
    const InodeId inode = open_by(kFirst);
    CHECK(unlink().has_value());
    names->end_session(kSecond);
    drain();
    CHECK(there(inode));
    names->end_session(kFirst);
    drain();
    CHECK_FALSE(there(inode));
    CHECK(links->nameless() == 0);
  }

  TEST_CASE_FIXTURE(OrphanFixture, "orphans: a restart collects them, and leaves what has a name") {
    const InodeId inode = open_by(kFirst);
    CHECK(unlink().has_value());
    const InodeId named = open_by(kFirst);
    close();
    open();
    drain();
    CHECK_FALSE(there(inode));
    CHECK(there(named));
    CHECK(store->drops()->empty());
    CHECK(store->files() == 1);
  }

  TEST_CASE_FIXTURE(OrphanFixture, "orphans: a file is held again, and not for the first time") {
    const InodeId inode = open_by(kFirst);
    CHECK(run(names->hold(inode, false, kSecond)).has_value());
    CHECK(unlink().has_value());
    CHECK(code(run(names->hold(inode, false, 73))) == Errc::not_found);
    CHECK(run(names->hold(inode, true, 73)).has_value());
    names->end_session(kFirst);
    names->end_session(kSecond);
    drain();
    CHECK(links_of(inode) == 0);
    CHECK(release(73, inode).has_value());
    CHECK_FALSE(there(inode));
    CHECK(code(run(names->hold(inode, true, 73))) == Errc::not_found);
    CHECK(links->holders().files() == 0);
  }

  TEST_CASE_FIXTURE(OrphanFixture, "orphans: an open that fails holds nothing") {
    Namespace::Owner owner = kOwner;
    owner.session = kFirst;
    CHECK(code(run(names->open({parent, 0, 0640, 0}, name, owner))) == Errc::not_found);
    const InodeId inode = open_by(kFirst);
    CHECK(release(kFirst, inode).has_value());
    CHECK(run(names->mark_spread(inode)).has_value());
    peers.failures = 1;  // of a truncate
    CHECK_FALSE(
        run(names->open({parent, 0, 0640, wire::Open::kTruncate}, name, owner)).has_value());
    CHECK(links->holders().files() == 0);
    drain();
    // Nobody has it open: it goes at once.
    CHECK(unlink().has_value());
    CHECK_FALSE(there(inode));
    drain();
  }
}

}  // namespace
}  // namespace benchfs::metadata_test
