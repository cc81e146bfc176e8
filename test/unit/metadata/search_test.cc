// Searches at one server: what fits, what is undecided, and how it goes on.
#include "metadata/search.hpp"

#include <cstring>
#include <set>

#include "namespace_fixture.hpp"

namespace benchfs::metadata_test {
namespace {

using Message = wire::FindEntries;

struct Found {
  std::string name;
  std::uint16_t flags;
  std::optional<wire::Attributes> attributes;
};

struct SearchFixture : NamespaceFixture {
  Search search{*loop, *store, *moves, map, kSelf};

  Message::Request request(std::uint32_t flags = 0) const {
    const Match any;
    Message::Request asked{};
    asked.parent = parent;
    asked.size_max = any.size_max;
    asked.mtime_min_ns = any.mtime_min_ns;
    asked.mtime_max_ns = any.mtime_max_ns;
    asked.bytes_max = wire::kFoundPageMax;
    asked.flags = flags;
    return asked;
  }
  Result<Search::Page> ask(Message::Request asked, const std::string& after = "",
                           const std::string& name = "", const std::string& any_case = "") {
    asked.after_bytes = static_cast<std::uint16_t>(after.size());
    asked.name_bytes = static_cast<std::uint16_t>(name.size());
    asked.any_case_name_bytes = static_cast<std::uint16_t>(any_case.size());
    return run(search.find(asked, after + name + any_case));
  }
  static std::vector<Found> entries(const Search::Page& page) {
    std::vector<Found> out;
    for (std::size_t at = 0; at < page.reply.bytes;) {
      wire::FoundEntry head{};
      std::memcpy(&head, page.bytes.data() + at, sizeof(head));
      at += sizeof(head);
      Found found{"", head.flags, std::nullopt};
      if ((head.flags & wire::FoundEntry::kAttributesHere) != 0) {
        found.attributes.emplace();
        std::memcpy(&*found.attributes, page.bytes.data() + at, sizeof(wire::Attributes));
        at += sizeof(wire::Attributes);
      }
      found.name.assign(reinterpret_cast<const char*>(page.bytes.data() + at), head.name_bytes);
      at += (std::size_t{head.name_bytes} + 7) / 8 * 8;
      out.push_back(std::move(found));
    }
    CHECK(out.size() == page.reply.entries);
    return out;
  }
  static std::string after_of(const Search::Page& page) {
    return {reinterpret_cast<const char*>(page.bytes.data()) + page.reply.bytes,
            page.reply.after_bytes};
  }
};

TEST_SUITE("search") {
  TEST_CASE_FIXTURE(SearchFixture, "search: names, types, sizes and times") {
    const std::string file = name_of(kSelf, 1), large = name_of(kSelf, 2);
    const std::string directory = name_of(kSelf, 3), link = name_of(kSelf, 4);
    create(file);
    CHECK(set_size(create(large), wire::SetSize::kExtend, 5000).has_value());
    CHECK(run(names->make_directory({parent, 0700, 0}, directory, kOwner)).has_value());
    const auto bytes = static_cast<std::uint32_t>(link.size());
    CHECK(run(names->make_link({parent, bytes, 0}, link + "to", kOwner)).has_value());

    auto page = ask(request());
    REQUIRE(page.has_value());
    CHECK(page->reply.seen == 4);
    CHECK(page->reply.after_bytes == 0);
    for (const Found& found : entries(*page)) {
      CHECK(found.flags == wire::FoundEntry::kFits);
      CHECK_FALSE(found.attributes.has_value());
    }
    page = ask(request(), "", "*" + large.substr(4));
    CHECK(page->reply.seen == 4);
    REQUIRE(entries(*page).size() == 1);
    CHECK(entries(*page)[0].name == large);
    page = ask(request(), "", "", "FILE[12].*");
    CHECK(entries(*page).size() == 2);
    page = ask(request(), "", "FILE[12].*");
    CHECK(entries(*page).empty());

    auto asked = request(Message::kAttributes);
    asked.size_min = asked.size_max = 5000;
    page = ask(asked);
    REQUIRE(entries(*page).size() == 1);
    CHECK(entries(*page)[0].name == large);
    CHECK(entries(*page)[0].attributes.value().size == 5000);
    asked.size_min = 5001;  // none
    CHECK(entries(*ask(asked)).empty());

    asked = request();
    asked.types = Match::kDirectories | Match::kLinks;
    CHECK(entries(*ask(asked)).size() == 2);
    asked.types = Match::kFiles;
    asked.flags = Message::kDescend;
    page = ask(asked);
    CHECK(entries(*page).size() == 3);
    for (const Found& found : entries(*page)) {
      CHECK((found.flags == wire::FoundEntry::kFits) == (found.name != directory));
    }
    page = ask(request(Message::kEmpty));
    std::set<std::string> empty;
    for (const Found& found : entries(*page)) empty.insert(found.name);
    CHECK(empty == std::set<std::string>{file, directory});
    asked = request();
    asked.mtime_max_ns = 1;
    CHECK(entries(*ask(asked)).empty());
  }

  TEST_CASE_FIXTURE(SearchFixture,
                    "search: an inode of another server is undecided, if it matters") {
    InodeId elsewhere = 0;
    for (std::uint32_t slot = 0; elsewhere == 0; ++slot) {
      if (map.owner(static_cast<Slot>(slot)) != kSelf)
        elsewhere = make_inode(static_cast<Slot>(slot), 900);
    }
    const std::string name = name_of(kSelf);
    store->put_entry(parent, name, {elsewhere, S_IFREG});
    REQUIRE(run(store->committed()).has_value());
    CHECK(entries(*ask(request())).at(0).flags == wire::FoundEntry::kFits);
    auto asked = request();
    asked.size_min = 1;
    CHECK(entries(*ask(asked)).at(0).flags == wire::FoundEntry::kUndecided);
    CHECK(entries(*ask(request(Message::kAttributes))).at(0).flags == wire::FoundEntry::kUndecided);
    asked.types = Match::kLinks;
    CHECK(entries(*ask(asked)).empty());
  }

  TEST_CASE_FIXTURE(SearchFixture, "search: pages of what fits, and of what was looked at") {
    constexpr std::uint32_t kEntries = Search::kPerMessage + 700;
    std::set<std::string> all;
    for (std::uint32_t i = 0; i < kEntries; ++i) {
      const std::string name = "n" + std::to_string(i);
      store->put_entry(parent, name, {make_inode(1, 5000 + i), S_IFDIR});
      all.insert(name);
    }
    REQUIRE(run(store->committed()).has_value());
    // Nothing fits: as many as one message may look at.
    auto page = ask(request(), "", "none");
    CHECK(page->reply.seen == Search::kPerMessage);
    CHECK(page->reply.entries == 0);
    const std::string after = after_of(*page);
    CHECK(all.contains(after));
    page = ask(request(), after, "none");
    CHECK(page->reply.seen == kEntries - Search::kPerMessage);
    CHECK(page->reply.after_bytes == 0);
    // All fit: page by page, each once.
    std::uint32_t pages = 0, seen = 0;
    std::string at;
    do {
      auto asked = request();
      asked.bytes_max = 4096;
      page = ask(asked, at);
      REQUIRE(page.has_value());
      CHECK(page->reply.bytes <= 4096);
      for (const Found& found : entries(*page)) CHECK(all.erase(found.name) == 1);
      seen += page->reply.seen;
      at = after_of(*page);
      ++pages;
    } while (!at.empty());
    CHECK(all.empty());
    CHECK(seen == kEntries);
    CHECK(pages > 40);
  }

  TEST_CASE_FIXTURE(SearchFixture, "search: what is asked for wrongly") {
    auto asked = request(8);
    CHECK(code(ask(asked)) == Errc::bad_message);
    asked = request();
    asked.types = 8;
    CHECK(code(ask(asked)) == Errc::bad_message);
    asked = request();
    asked.bytes_max = 100;
    CHECK(code(ask(asked)) == Errc::invalid);
    CHECK(code(ask(request(), "", std::string("a\0b", 3))) == Errc::bad_message);
    CHECK(code(ask(request(), "a/b")) == Errc::invalid);
    CHECK(code(ask(request(), "", std::string(kPatternBytesMax + 1, 'x'))) == Errc::bad_message);
    asked = request();
    asked.name_bytes = 3;
    CHECK(code(run(search.find(asked, "ab"))) == Errc::bad_message);
    asked.name_bytes = 0;
    asked.parent = make_inode(map.owner(0) == kSelf ? 0 : 1, 12345);
    for (std::uint32_t slot = 0; map.home(asked.parent) != kSelf; ++slot) {
      asked.parent = make_inode(static_cast<Slot>(slot), 12345);
    }
    CHECK(code(ask(asked)) == Errc::not_found);
    asked.parent = create(name_of(kSelf));
    CHECK(code(ask(asked)) == Errc::not_directory);
  }
}

}  // namespace
}  // namespace benchfs::metadata_test
