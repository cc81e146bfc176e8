// Extended attributes on one server of two: limits, errors of Linux, and that they go with their
// inode and survive a restart.
#include "metadata/xattrs.hpp"

#include <memory>

#include "metadata/namespace_fixture.hpp"

namespace benchfs {
namespace {

using namespace metadata_test;
using Set = wire::SetXattr;

struct XattrFixture : NamespaceFixture {
  std::unique_ptr<Xattrs> xattrs = std::make_unique<Xattrs>(*store, map, kSelf);
  std::string file = name_of(kSelf);
  InodeId inode = create(file);

  Status set(const std::string& name, const std::string& value, std::uint32_t flags = 0) {
    return run(xattrs->set(inode, name, value, flags));
  }
  Result<std::string> get(const std::string& name) { return run(xattrs->get(inode, name)); }
  std::string list() {
    const auto listed = run(xattrs->list(inode));
    REQUIRE(listed.has_value());
    return *listed;
  }
  void restart() {
    xattrs.reset();
    close();
    open();
    xattrs = std::make_unique<Xattrs>(*store, map, kSelf);
  }
};

constexpr std::string_view kTwo{"user.a\0user.b\0", 14};

TEST_SUITE("xattrs") {
  TEST_CASE_FIXTURE(XattrFixture, "xattrs: set, get, list, replace, remove; kept over a restart") {
    CHECK(list().empty());
    CHECK(code(get("user.a")) == Errc::no_data);
    CHECK(set("user.b", "two").has_value());
    CHECK(set("user.a", std::string("one\0more", 8)).has_value());
    CHECK(list() == kTwo);
    CHECK(*get("user.a") == std::string_view("one\0more", 8));
    CHECK(set("user.b", "").has_value());
    CHECK(get("user.b")->empty());
    restart();
    CHECK(list() == kTwo);
    CHECK(get("user.a")->size() == 8);
    CHECK(run(xattrs->remove(inode, "user.a")).has_value());
    CHECK(code(run(xattrs->remove(inode, "user.a"))) == Errc::no_data);
    CHECK(code(get("user.a")) == Errc::no_data);
    CHECK(list() == kTwo.substr(7));
    restart();
    CHECK(list() == kTwo.substr(7));
  }

  TEST_CASE_FIXTURE(XattrFixture, "xattrs: create and replace look at what is there") {
    CHECK(code(set("user.a", "x", Set::kReplace)) == Errc::no_data);
    CHECK(set("user.a", "x", Set::kCreate).has_value());
    CHECK(code(set("user.a", "y", Set::kCreate)) == Errc::exists);
    CHECK(*get("user.a") == "x");
    CHECK(set("user.a", "z", Set::kReplace).has_value());
    CHECK(*get("user.a") == "z");
    // Of two that come together one makes it.
    auto first = xattrs->set(inode, "user.b", "1", Set::kCreate);
    auto second = xattrs->set(inode, "user.b", "2", Set::kCreate);
    CHECK(run(std::move(first)).has_value());
    CHECK(code(run(std::move(second))) == Errc::exists);
    CHECK(*get("user.b") == "1");
  }

  TEST_CASE_FIXTURE(XattrFixture, "xattrs: limits and names") {
    const std::string longest = "user." + std::string(250, 'n');
    const std::string largest(65536, 'v');
    CHECK(set(longest, largest).has_value());
    CHECK(*get(longest) == largest);
    CHECK(code(set(longest + "n", "")) == Errc::bad_message);
    CHECK(code(set("user.a", largest + "v")) == Errc::bad_message);
    CHECK(code(set("user.a", "", 4)) == Errc::bad_message);
    CHECK(code(set(std::string("user.\0a", 7), "")) == Errc::bad_message);
    CHECK(code(set("user.", "")) == Errc::invalid);
    for (const char* name : {"trusted.a", "security.a", "system.posix_acl_access", "a", ""}) {
      CHECK(code(set(name, "")) == Errc::not_supported);
      CHECK(code(get(name)) == Errc::not_supported);
    }
    // 256 names of 256 bytes, zeros included, are all that fits the list.
    for (int i = 0; i < 255; ++i) {
      std::string name = longest;
      name.replace(5, 3, std::to_string(100 + i));
      REQUIRE(set(name, "").has_value());
    }
    CHECK(list().size() == 65536);
    CHECK(code(set("user.a", "")) == Errc::xattrs_full);
    CHECK(set(longest, "one that is there").has_value());
  }

  TEST_CASE_FIXTURE(XattrFixture, "xattrs: they mark the change time, and go with their inode") {
    const auto before = run(names->attributes(inode))->attributes;
    REQUIRE(set("user.a", "x").has_value());
    const auto after = run(names->attributes(inode))->attributes;
    CHECK(after.ctime_ns > before.ctime_ns);
    CHECK(after.mtime_ns == before.mtime_ns);
    CHECK(set_size(inode, wire::SetSize::kMerge, 77).has_value());  // which writes the inode anew
    REQUIRE(set("user.b", "y").has_value());
    const InodeId other = create(name_of(kSelf, 1));
    CHECK(run(xattrs->set(other, "user.a", "other", 0)).has_value());
    CHECK(run(names->unlink(parent, file)).has_value());
    drain();
    CHECK(code(get("user.a")) == Errc::not_found);
    CHECK(store->xattr_names(inode)->empty());
    CHECK(store->xattr_names(other)->size() == 1);
    restart();
    CHECK(store->xattr_names(inode)->empty());
    CHECK(*run(xattrs->get(other, "user.a")) == "other");
  }

  TEST_CASE_FIXTURE(XattrFixture, "xattrs: a directory has them, a symbolic link has not") {
    const auto made = run(names->make_directory({parent, 0755, 0}, name_of(kSelf, 2), kOwner));
    REQUIRE(made.has_value());
    CHECK(run(xattrs->set(made->attributes.inode, "user.a", "d", 0)).has_value());
    CHECK(*run(xattrs->get(made->attributes.inode, "user.a")) == "d");
    const std::string name = name_of(kSelf, 3);
    const auto link = run(names->make_link({parent, static_cast<std::uint32_t>(name.size()), 0},
                                           name + "target", kOwner));
    REQUIRE(link.has_value());
    const InodeId number = link->attributes.inode;
    CHECK(code(run(xattrs->set(number, "user.a", "", 0))) == Errc::not_permitted);
    CHECK(code(run(xattrs->remove(number, "user.a"))) == Errc::not_permitted);
    CHECK(code(run(xattrs->get(number, "user.a"))) == Errc::no_data);
    CHECK(run(xattrs->list(number))->empty());
    // Of another server; and of nobody.
    CHECK(code(run(xattrs->get(parent, "user.a"))) == Errc::stale_epoch);
    CHECK(code(run(xattrs->list(parent))) == Errc::stale_epoch);
    CHECK(code(run(xattrs->list(inode + 1000))) == Errc::not_found);
  }
}

}  // namespace
}  // namespace benchfs
