// The list of messages against what was published of it: ids, names and sizes never change, and
// docs/wire.md has a row for each.
#include "wire/messages.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace benchfs::wire {
namespace {

struct Row {
  std::uint16_t id;
  std::string name;
  std::size_t request_bytes, reply_bytes, payload_max;
  bool idempotent;
  bool operator==(const Row&) const = default;
};

/// As published. A new message gets a new row; a row never changes and is never removed: a message
/// that is not sent any more keeps its id.
const std::vector<Row> kPublished = {
    {1, "hello", 72, 56, 4096, true},      {2, "authenticate", 32, 16, 0, true},
    {3, "goodbye", 8, 8, 0, true},         {10, "lookup", 8, 80, 255, true},
    {11, "open", 24, 72, 255, false},      {12, "mkdir", 16, 64, 255, false},
    {13, "unlink", 8, 8, 255, false},      {14, "read_directory", 16, 16, 255, true},
    {15, "rmdir", 8, 8, 255, false},       {16, "symlink", 16, 64, 4095, false},
    {17, "rename", 32, 8, 510, false},     {18, "link", 16, 64, 255, false},
    {19, "place_entry", 32, 24, 255, true}, {20, "drop_link", 16, 8, 0, true},
    {21, "forget_token", 8, 8, 0, true},   {22, "move_gate", 24, 8, 0, true},
    {30, "get_attributes", 8, 64, 0, true},
    {31, "set_size", 24, 64, 0, true},     {32, "set_attributes", 40, 64, 0, true},
    {33, "read_link", 8, 8, 0, true},      {34, "mark_directory", 24, 8, 0, true},
    {35, "append", 16, 8, 0, false},
    {40, "get_xattr", 16, 8, 255, true},   {41, "set_xattr", 16, 8, 65791, false},
    {42, "list_xattrs", 16, 8, 0, true},   {43, "remove_xattr", 8, 8, 255, false},
    {50, "read", 32, 24, 1048576, true},
    {51, "write", 32, 8, 17825792, true},  {52, "sync", 16, 8, 0, true},
    {53, "drop_data", 24, 8, 0, true},     {54, "mark_spread", 8, 8, 0, true},
    {55, "allocate", 32, 8, 0, true},      {56, "seek", 32, 16, 0, true},
    {60, "lock", 40, 8, 0, false},         {61, "unlock", 16, 8, 0, true},
    {62, "shared_pointer", 32, 8, 0, false},
    {63, "try_lock", 40, 40, 0, false},
    {70, "server_status", 8, 80, 0, true},
    {71, "server_space", 8, 88, 0, true},
    {72, "scan", 24, 24, 255, true},
    {73, "repair", 32, 8, 255, true},
    {74, "hold", 16, 64, 0, false},        {75, "release", 8, 8, 512, false},
    {76, "find_entries", 56, 16, 2303, true},
};

std::vector<Row> declared() {
  std::vector<Row> rows;
  All::for_each([&]<class M>() {
    rows.push_back({M::kId, M::kName, sizeof(typename M::Request), sizeof(typename M::Reply),
                    M::kPayloadMax, M::kIdempotent});
  });
  return rows;
}

std::string page_text() {
  std::filesystem::path root = std::filesystem::path(__FILE__).parent_path() / "../../..";
  if (const char* srcdir = std::getenv("srcdir"); srcdir != nullptr && !exists(root / "docs"))
    root = std::filesystem::path(srcdir) / "../..";
  std::ifstream file(root / "docs/wire.md");
  REQUIRE_MESSAGE(file.is_open(), (root / "docs/wire.md").string());
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

/// The row of a message in the page's table, up to the column of its meaning.
std::string row_text(const Row& row) {
  return fmt::format("| {} | `{}` | {} | {} | {} | {} |", row.id, row.name, row.request_bytes,
                     row.reply_bytes, row.payload_max, row.idempotent ? "yes" : "no");
}

TEST_SUITE("messages") {
  TEST_CASE("messages: ids and names are unique") {
    std::set<std::uint16_t> ids;
    std::set<std::string> names;
    for (const Row& row : declared()) {
      CAPTURE(row.name);
      CHECK(row.id != 0);
      CHECK(ids.insert(row.id).second);
      CHECK(names.insert(row.name).second);
      CHECK(message_name(row.id) == row.name);
    }
    CHECK(ids.size() == All::size);
    CHECK(std::string_view(message_name(0)) == "unknown");
    CHECK(std::string_view(message_name(0xffff)) == "unknown");
  }

  TEST_CASE("messages: ids, names and sizes are those that were published") {
    std::map<std::uint16_t, Row> by_id;
    for (const Row& row : declared()) by_id.emplace(row.id, row);
    for (const Row& row : kPublished) {
      CAPTURE(row.name);
      REQUIRE(by_id.contains(row.id));
      const Row& now = by_id.at(row.id);
      CHECK(now.name == row.name);
      CHECK(now.request_bytes == row.request_bytes);
      CHECK(now.reply_bytes == row.reply_bytes);
      CHECK(now.payload_max == row.payload_max);
      CHECK(now.idempotent == row.idempotent);
    }
    CHECK_MESSAGE(by_id.size() == kPublished.size(), "a new message needs its row in kPublished");
  }

  TEST_CASE("messages: bodies are whole words, and the largest of them fits the buffers") {
    std::size_t most = 0;
    for (const Row& row : declared()) {
      CAPTURE(row.name);
      CHECK(row.request_bytes % 8 == 0);
      CHECK(row.reply_bytes % 8 == 0);
      most = std::max({most, row.request_bytes, row.reply_bytes});
    }
    CHECK(kBodyMax == most);
    CHECK(kBodyMax == 88);
    // Header and body together stay in the smallest short message of UCX's transports.
    CHECK(sizeof(Header) + kBodyMax <= 128);
  }

  TEST_CASE("messages: a name and an address always travel inside the message") {
    CHECK(kNameBytesMax <= kInlineMax);
    CHECK(kAddressMax <= kInlineMax);
    CHECK(Symlink::kPayloadMax <= kInlineMax);
    CHECK(Write::kPayloadMax == kDataMax + kPiecesMax * sizeof(Piece));
  }

  TEST_CASE("header: every field is at its published place") {
    CHECK(kVersion == 1);
    CHECK(kAmRequest == 1);
    CHECK(kAmReply == 2);
    CHECK(offsetof(Header, version) == 0);
    CHECK(offsetof(Header, msg_id) == 2);
    CHECK(offsetof(Header, status) == 4);
    CHECK(offsetof(Header, flags) == 6);
    CHECK(offsetof(Header, deadline_ms) == 8);
    CHECK(offsetof(Header, checksum) == 12);
    CHECK(offsetof(Header, epoch) == 16);
    CHECK(offsetof(Header, session) == 24);
    CHECK(offsetof(Header, request_id) == 32);
  }

  TEST_CASE("bodies: fields are at their published places") {
    CHECK(offsetof(Attributes, mode) == 24);
    CHECK(offsetof(Attributes, atime_ns) == 40);
    CHECK(offsetof(Piece, bytes) == 8);
    CHECK(offsetof(Hello::Request, nonce) == 8);
    CHECK(offsetof(Hello::Request, proof) == 24);
    CHECK(offsetof(Hello::Request, host_id) == 56);
    CHECK(offsetof(Hello::Request, pid) == 64);
    CHECK(offsetof(Hello::Reply, nonce) == 8);
    CHECK(offsetof(Hello::Reply, proof) == 24);
    CHECK(offsetof(Open::Request, mode) == 16);
    CHECK(offsetof(Read::Request, bytes) == 16);
    CHECK(offsetof(Read::Request, chunk_shift) == 24);
    CHECK(offsetof(Read::Reply, bytes) == 8);
    CHECK(offsetof(Read::Reply, size) == 16);
    CHECK(offsetof(Write::Request, flags) == 28);
    CHECK(offsetof(Write::Reply, merged) == 4);
    CHECK(offsetof(SetSize::Request, operation) == 16);
    CHECK(offsetof(SetAttributes::Request, uid) == 16);
    CHECK(offsetof(SetAttributes::Request, atime_ns) == 24);
    CHECK(offsetof(MarkDirectory::Request, operation) == 16);
    CHECK(offsetof(Allocate::Request, operation) == 28);
    CHECK(offsetof(Seek::Request, limit) == 16);
    CHECK(offsetof(TryLock::Reply, pid) == 32);
    CHECK(offsetof(DirectoryEntry, name_bytes) == 12);
    CHECK(offsetof(ReadDirectory::Reply, more) == 8);
    CHECK(offsetof(Scan::Request, exact) == 16);
    CHECK(offsetof(Scan::Reply, more) == 16);
    CHECK(offsetof(ScannedInode, nlink) == 20);
    CHECK(offsetof(Repair::Request, links_before) == 28);
  }
}

TEST_SUITE("docs/wire.md") {
  TEST_CASE("docs/wire.md has a row for every message, and no other") {
    const std::string page = page_text();
    std::size_t rows = 0;
    std::stringstream lines(page);
    for (std::string line; std::getline(lines, line);) {
      const std::size_t digits =
          line.starts_with("| ") ? line.find_first_not_of("0123456789", 2) : 0;
      // "| 40 | `name` | 72 |": a number, a name, and then another number.
      const std::size_t end = line.find("` | ");
      if (digits > 2 && line.substr(digits, 4) == " | `" && end != line.npos &&
          std::isdigit(static_cast<unsigned char>(line[end + 4])) != 0) {
        ++rows;
      }
    }
    for (const Row& row : declared()) {
      CHECK_MESSAGE(page.find('\n' + row_text(row)) != page.npos, row_text(row));
    }
    CHECK(rows == All::size);
  }

  TEST_CASE("docs/wire.md names the header's fields and the limits as they are") {
    const std::string page = page_text();
    for (const char* field : {"version", "msg_id", "status", "flags", "deadline_ms", "checksum",
                              "epoch", "session", "request_id"}) {
      CHECK_MESSAGE(page.find(fmt::format("`{}`", field)) != page.npos, field);
    }
    for (const std::uint64_t limit : {std::uint64_t{kInlineMax}, std::uint64_t{kPiecesMax},
                                      std::uint64_t{kDataMax}, std::uint64_t{kNameBytesMax}}) {
      CHECK_MESSAGE(page.find(std::to_string(limit)) != page.npos, limit);
    }
  }
}

}  // namespace
}  // namespace benchfs::wire
