// Renames and links of one server of two, with the other one played by the test.
#include "namespace_fixture.hpp"

namespace benchfs::metadata_test {
namespace {

using Placing = wire::PlaceEntry;
using Told = std::vector<std::string>;

struct MovesFixture : NamespaceFixture {
  std::string here = name_of(0, 1), here2 = name_of(0, 2), there = name_of(1, 3);
  InodeId file = create(here);

  Status rename(const std::string& from, const std::string& to, std::uint32_t flags = 0,
                InodeId new_parent = 0, std::uint64_t gate_moves = 0) {
    const wire::Rename::Request request{parent, new_parent == 0 ? parent : new_parent, gate_moves,
                                        static_cast<std::uint32_t>(from.size()), flags};
    return run(moves->rename(request, from, to));
  }
  Result<wire::PlaceEntry::Reply> place(std::uint64_t token, const std::string& name, InodeId inode,
                                        std::uint32_t flags = 0, std::uint32_t type = S_IFREG) {
    return run(moves->place({token, parent, inode, type, flags}, name));
  }
  InodeId inode_of(const std::string& name) {
    const auto found = run(names->lookup(parent, name));
    return found ? found->inode : 0;
  }
  void reopen() {
    close();
    open();
  }
  InodeId elsewhere() const { return parent + 1; }  // another inode of the other server
};

TEST_SUITE("moves") {
  TEST_CASE_FIXTURE(MovesFixture, "moves: all on one server is one batch, and nobody is told") {
    CHECK(rename(here, here2).has_value());
    CHECK(inode_of(here) == 0);
    CHECK(inode_of(here2) == file);
    const auto linked = run(moves->link({file, parent}, here));
    REQUIRE(linked.has_value());
    CHECK(linked->attributes.nlink == 2);
    CHECK(rename(here, here2).has_value());  // the same file: both stay
    CHECK(inode_of(here) == file);
    CHECK(run(names->unlink(parent, here)).has_value());
    CHECK(run(names->attributes(file))->attributes.nlink == 1);
    drain();
    CHECK(move_peers.told.empty());
    CHECK(store->moves()->empty());
  }

  TEST_CASE_FIXTURE(MovesFixture,
                    "moves: to another server: placed there, removed here, forgotten") {
    CHECK(rename(here, there).has_value());
    CHECK(inode_of(here) == 0);
    CHECK(move_peers.placed.inode == file);
    drain();
    CHECK(move_peers.told == Told{"place " + there, "forget"});
    CHECK(store->moves()->empty());
    CHECK(run(names->attributes(file)).has_value());  // the inode stays
  }

  TEST_CASE_FIXTURE(MovesFixture, "moves: a refusal there changes nothing here") {
    move_peers.answer = {0, 0, Placing::kRefused, static_cast<std::uint32_t>(Errc::exists), 0};
    CHECK(code(rename(here, there, wire::Rename::kNoReplace)) == Errc::exists);
    CHECK((move_peers.placed.flags & Placing::kNoReplace) != 0);
    CHECK(inode_of(here) == file);
    CHECK(code(run(moves->link({file, parent}, there))) == Errc::exists);
    CHECK(run(names->attributes(file))->attributes.nlink == 1);
    drain();
    CHECK(store->moves()->empty());
    CHECK(run(names->unlink(parent, here)).has_value());
  }

  TEST_CASE_FIXTURE(MovesFixture,
                    "moves: not known how it ended: held, and asked again until it is") {
    move_peers.failures = 1000;
    CHECK(code(rename(here, there)) == Errc::unreachable);
    CHECK(code(run(names->unlink(parent, here))) == Errc::being_removed);
    CHECK(code(rename(here, here2)) == Errc::being_removed);
    CHECK(inode_of(here) == file);  // seen all the while
    const std::uint64_t token = move_peers.token;
    reopen();  // over a restart, too
    CHECK(code(run(names->unlink(parent, here))) == Errc::being_removed);
    loop->run_until([&] { return move_peers.told.size() > 5; });
    CHECK(move_peers.token == token);
    SUBCASE("it was placed") {
      move_peers.failures = 0;
      drain();
      CHECK(inode_of(here) == 0);
    }
    SUBCASE("it was not") {
      move_peers.answer.outcome = Placing::kRefused;
      move_peers.answer.reason = static_cast<std::uint32_t>(Errc::exists);
      move_peers.failures = 0;
      drain();
      CHECK(run(names->unlink(parent, here)).has_value());
    }
    CHECK(move_peers.told.back() == "forget");
    CHECK(store->moves()->empty());
  }

  TEST_CASE_FIXTURE(MovesFixture, "moves: removed by its new name before the old one is gone") {
    move_peers.failures = 1000;
    CHECK(code(rename(here, there)) == Errc::unreachable);
    CHECK(run(links->drop(file, 5)).has_value());
    CHECK(code(run(names->lookup(parent, here))) == Errc::being_removed);
    CHECK(code(open_file(here, 0)) == Errc::being_removed);
    const auto page = run(names->read_directory(
        {parent, wire::kDirectoryPageMax, wire::ReadDirectory::kAttributes}, ""));
    REQUIRE(page.has_value());
    CHECK(page->reply.entries == 0);
    move_peers.failures = 0;
    drain();
    CHECK(code(run(names->lookup(parent, here))) == Errc::not_found);
  }

  TEST_CASE_FIXTURE(MovesFixture,
                    "moves: a link that is not decided counts, and is taken back if refused") {
    move_peers.failures = 1000;
    CHECK(code(run(moves->link({file, parent}, there))) == Errc::unreachable);
    CHECK(run(names->attributes(file))->attributes.nlink == 2);
    reopen();
    CHECK(run(names->attributes(file))->attributes.nlink == 2);
    move_peers.answer.outcome = Placing::kRefused;
    move_peers.failures = 0;
    drain();
    CHECK(run(names->attributes(file))->attributes.nlink == 1);
  }

  TEST_CASE_FIXTURE(MovesFixture,
                    "moves: an entry that is placed here, once whatever is repeated") {
    CHECK(place(7, here, elsewhere(), Placing::kNoReplace)->outcome == Placing::kRefused);
    CHECK(run(names->unlink(parent, here)).has_value());
    // Refused is refused, also when it could be done now.
    CHECK(place(7, here, elsewhere(), Placing::kNoReplace)->reason ==
          static_cast<std::uint32_t>(Errc::exists));
    CHECK(place(8, here, elsewhere())->outcome == Placing::kPlaced);
    CHECK(place(8, here, elsewhere())->outcome == Placing::kPlaced);
    CHECK(place(9, here, elsewhere())->outcome == Placing::kSame);
    CHECK(inode_of(here) == elsewhere());
    CHECK(run(names->unlink(parent, here)).has_value());
    reopen();
    CHECK(place(8, here, elsewhere())->outcome == Placing::kPlaced);  // answered, not done again
    CHECK(inode_of(here) == 0);
    tokens->forget(8);
    CHECK(place(8, here, elsewhere())->reason == static_cast<std::uint32_t>(Errc::canceled));
    drain();
    CHECK(store->applied()->empty());
    CHECK(code(place(0, here, elsewhere())) == Errc::bad_message);
    CHECK(code(place(10, here, elsewhere(), 8)) == Errc::bad_message);
    CHECK(code(place(10, here, elsewhere(), 0, 7)) == Errc::bad_message);
    CHECK(code(place(10, there, elsewhere())) == Errc::stale_epoch);
  }

  TEST_CASE_FIXTURE(MovesFixture, "moves: what is replaced goes: here, or where its inode is") {
    CHECK(place(1, here, elsewhere())->outcome == Placing::kPlaced);
    CHECK(code(run(names->attributes(file))) == Errc::not_found);
    CHECK(place(2, here, elsewhere() + 1)->outcome == Placing::kPlaced);
    drain();
    CHECK(move_peers.told == Told{"drop", "forget"});
    const auto swapped = place(3, here, elsewhere(), Placing::kExchange);
    CHECK(swapped->inode == elsewhere() + 1);
    CHECK(place(3, here, elsewhere(), Placing::kExchange)->inode == elsewhere() + 1);
    CHECK(inode_of(here) == elsewhere());
    CHECK(place(4, here2, elsewhere(), Placing::kExchange)->reason ==
          static_cast<std::uint32_t>(Errc::not_found));
    drain();
    CHECK(store->moves()->empty());
  }

  TEST_CASE_FIXTURE(MovesFixture, "moves: a link that is dropped for another server, once") {
    REQUIRE(run(moves->link({file, parent}, here2)).has_value());
    REQUIRE(run(moves->link({file, parent}, name_of(0, 9))).has_value());
    CHECK(run(links->drop(file, 5)).has_value());
    CHECK(run(links->drop(file, 5)).has_value());
    reopen();
    CHECK(run(links->drop(file, 5)).has_value());
    CHECK(run(names->attributes(file))->attributes.nlink == 2);
    CHECK(run(links->drop(file, 6)).has_value());
    CHECK(run(links->drop(file, 7)).has_value());
    CHECK(code(run(names->attributes(file))) == Errc::not_found);
    CHECK(run(links->drop(file, 8)).has_value());
    CHECK(code(run(links->drop(parent, 9))) == Errc::stale_epoch);
  }

  TEST_CASE_FIXTURE(MovesFixture,
                    "moves: an unlinked name of an inode elsewhere is told until heard") {
    CHECK(place(1, here2, elsewhere())->outcome == Placing::kPlaced);
    move_peers.failures = 3;
    CHECK(run(names->unlink(parent, here2)).has_value());
    CHECK(inode_of(here2) == 0);
    loop->run_until([&] { return !move_peers.told.empty(); });
    reopen();
    drain();
    CHECK(move_peers.told == Told{"drop", "drop", "drop", "drop", "forget"});
    CHECK(store->moves()->empty());
  }

  TEST_CASE_FIXTURE(MovesFixture, "moves: directories through the gate") {
    const auto made = run(names->make_directory({parent, 0755, 0}, here2, kOwner));
    REQUIRE(made.has_value());
    const InodeId directory = made->attributes.inode;
    const InodeId other = elsewhere();
    CHECK(code(rename(here2, here2, 0, other)) == Errc::stale);  // not looked at
    const bool gate_here = map.home(kRootInode) == kSelf;
    if (gate_here) {
      CHECK(code(rename(here2, "x", 0, other, *gate->read() + 1)) == Errc::stale);
      CHECK(rename(here2, "x", 0, other, *gate->read()).has_value());
      drain();
      CHECK(gate->read().has_value());
    } else {
      move_peers.gate_error = Errc::busy;
      CHECK(code(rename(here2, "x", 0, other, 5)) == Errc::stale);
      CHECK(inode_of(here2) == directory);
      move_peers.gate_error.reset();
      CHECK(rename(here2, "x", 0, other, 5).has_value());
      drain();
      CHECK(std::count(move_peers.told.begin(), move_peers.told.end(), "begin") == 2);
      CHECK(std::count(move_peers.told.begin(), move_peers.told.end(), "end") == 2);
    }
    CHECK(inode_of(here2) == 0);
    CHECK(store->moves()->empty());
  }

  TEST_CASE_FIXTURE(MovesFixture,
                    "moves: the gate lets one through at a time, over a restart too") {
    const std::uint64_t count = *gate->read();
    CHECK(code(run(gate->begin(1, count + 1))) == Errc::stale);
    CHECK(run(gate->begin(1, count)).has_value());
    CHECK(run(gate->begin(1, count)).has_value());
    CHECK(code(gate->read()) == Errc::busy);
    CHECK(code(run(gate->begin(2, count))) == Errc::busy);
    reopen();
    CHECK(code(gate->read()) == Errc::busy);
    CHECK(run(gate->begin(1, 0)).has_value());
    CHECK(run(gate->end(3)).has_value());
    CHECK(code(gate->read()) == Errc::busy);
    CHECK(run(gate->end(1)).has_value());
    CHECK(code(run(gate->begin(1, *gate->read()))) == Errc::canceled);
    CHECK(code(run(gate->begin(2, count))) == Errc::stale);
    reopen();
    CHECK(gate->read().has_value());
  }

  TEST_CASE_FIXTURE(MovesFixture, "moves: names and flags that nothing may have") {
    CHECK(code(rename(here, "..")) == Errc::invalid);
    CHECK(code(rename(".", here)) == Errc::invalid);
    CHECK(code(rename(here, "a/b")) == Errc::invalid);
    CHECK(code(rename(here, std::string(256, 'x'))) == Errc::name_too_long);
    CHECK(code(rename(here, here2, 4)) == Errc::bad_message);
    CHECK(code(rename(here, here2, 3)) == Errc::bad_message);
    CHECK(code(rename(there, here2)) == Errc::stale_epoch);
    CHECK(code(rename(here2, here)) == Errc::not_found);
    CHECK(code(run(moves->link({file, parent}, ""))) == Errc::invalid);
    CHECK(code(run(moves->link({file + 1, parent}, here2))) == Errc::not_found);
    CHECK(code(run(moves->link({parent, parent}, here2))) == Errc::stale_epoch);
  }
}

}  // namespace
}  // namespace benchfs::metadata_test
