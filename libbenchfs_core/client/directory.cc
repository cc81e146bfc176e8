// Listing a directory: every server has a part of its entries, and gives it page by page in the
// order of the names. A few servers are asked at a time, so that the memory of a listing does not
// grow with the cluster or the directory; each is asked for its next page when those before are
// used up.
#include "client/directory.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include "client/client.hpp"
#include "placement/slot_map.hpp"

namespace benchfs {
namespace {

constexpr std::size_t kAskedMax = 16;        // servers at a time
constexpr std::uint32_t kPageBytes = 32768;  // some 250 entries with attributes

/// The entry at `page.at`, and the place behind it; false if the page is malformed.
bool read_entry(const OpenDirectory::Page& page, ListedEntry& entry, std::size_t& end) {
  wire::DirectoryEntry head{};
  std::size_t at = page.at;
  const std::size_t size = page.bytes.size();
  if (size - at < sizeof(head)) return false;
  std::memcpy(&head, page.bytes.data() + at, sizeof(head));
  at += sizeof(head);
  entry.has_attributes = head.attributes_here != 0;
  if (entry.has_attributes) {
    if (size - at < sizeof(entry.attributes)) return false;
    std::memcpy(&entry.attributes, page.bytes.data() + at, sizeof(entry.attributes));
    at += sizeof(entry.attributes);
  }
  const std::size_t padded = (std::size_t{head.name_bytes} + 7) / 8 * 8;
  if (head.name_bytes == 0 || head.name_bytes > kNameBytesMax || size - at < padded) return false;
  entry.inode = head.inode;
  entry.type = head.type;
  entry.name.assign(reinterpret_cast<const char*>(page.bytes.data() + at), head.name_bytes);
  end = at + padded;
  return true;
}

}  // namespace

Task<Result<OpenDirectory*>> Client::open_directory(std::string_view path, bool attributes) {
  BFS_CO_TRY(found, co_await stat(path));
  if (!S_ISDIR(found.mode)) co_return fail(Errc::not_directory);
  auto* directory = new OpenDirectory;
  directory->client = this;
  directory->path = path;
  directory->inode = found.inode;
  directory->attributes = attributes;
  add_parts(directory);
  ++open_directories_;
  co_return directory;
}

void Client::add_parts(OpenDirectory* directory) const {
  for (std::uint32_t i = 0; i < map().index_count(); ++i) {
    const auto server = static_cast<ServerIndex>(i);
    if (map().contains(server)) directory->parts.push_back({server, {}, false});
  }
}

void Client::close_directory(OpenDirectory* directory) {
  --open_directories_;
  delete directory;
}

Task<Status> Client::read_page(OpenDirectory* directory, std::size_t index) {
  const ServerIndex server = directory->parts[index].server;
  const std::string after = directory->parts[index].after;
  OpenDirectory::Page page;
  page.server = server;
  page.bytes.resize(kPageBytes);
  const wire::ReadDirectory::Request request{
      directory->inode, kPageBytes, directory->attributes ? wire::ReadDirectory::kAttributes : 0};
  const auto name = std::as_bytes(std::span{after.data(), after.size()});
  const std::span<std::byte> into(page.bytes);
  const EntryCache::Ticket ticket = cache_->ticket();
  const auto answer = co_await caller_->call<wire::ReadDirectory>(server, request, name, into);
  if (!answer) {
    // Removed since it was opened: then it has no entries, as POSIX has it.
    if (answer.error().code != Errc::not_found) co_return std::unexpected(answer.error());
    directory->parts[index].done = true;
    co_return Status{};
  }
  if (answer->body.bytes != answer->payload_bytes) co_return fail(Errc::bad_message, 0, server);
  page.bytes.resize(answer->payload_bytes);
  ListedEntry entry;
  std::uint32_t entries = 0;
  for (; page.at < page.bytes.size(); ++entries) {
    std::size_t end = 0;
    if (!read_entry(page, entry, end)) co_return fail(Errc::bad_message, 0, server);
    page.at = end;
    if (S_ISDIR(entry.type) || cache_->keeps_attributes()) {
      cache_->put(ticket, directory->inode, entry.name, {entry.inode, entry.type});
    }
    if (entry.has_attributes) cache_->put(ticket, entry.attributes);
  }
  const bool more = answer->body.more != 0;
  if (entries != answer->body.entries || (more && entries == 0)) {
    co_return fail(Errc::bad_message, 0, server);
  }
  page.at = 0;
  OpenDirectory::Part& part = directory->parts[index];
  part.done = !more;
  part.after = entry.name;
  if (entries > 0) {
    page.bytes.shrink_to_fit();
    directory->pages.push_back(std::move(page));
  }
  co_return Status{};
}

Task<Status> Client::fill(OpenDirectory* directory) {
  std::vector<Task<Status>> asked;
  for (std::size_t i = 0; i < directory->parts.size() && asked.size() < kAskedMax; ++i) {
    if (directory->parts[i].done) continue;
    asked.push_back(directory->search != nullptr ? find_page(directory, i)
                                                 : read_page(directory, i));
  }
  Status outcome;
  for (Task<Status>& each : asked) {
    const Status read = co_await each;
    if (!read && outcome) outcome = read;
  }
  co_return outcome;
}

Task<Outcome> Client::read_directory(OpenDirectory* directory, ListedEntry* entry) {
  if (directory->search != nullptr) {
    const Outcome found = co_await next_found(directory, entry);
    co_return found;
  }
  const auto done = [](const OpenDirectory::Part& part) { return part.done; };
  while (directory->pages.empty()) {
    if (std::ranges::all_of(directory->parts, done)) co_return 0;
    // An error does not lose what came with it: the next call goes on.
    BFS_CO_CHECK(filled, co_await fill(directory));
  }
  OpenDirectory::Page& page = directory->pages.front();
  std::size_t end = 0;
  const bool whole = read_entry(page, *entry, end);
  BFS_ASSERT(whole);  // checked when the page came
  page.at = end;
  if (page.at == page.bytes.size()) directory->pages.pop_front();
  if (!directory->attributes) co_return 1;
  // A size that this session has not merged yet makes the page's out of date.
  if (entry->has_attributes && !files_.contains(entry->inode)) co_return 1;
  const auto fresh = co_await attributes(entry->inode);
  if (!fresh && fresh.error().code != Errc::not_found) co_return std::unexpected(fresh.error());
  entry->has_attributes = fresh.has_value();
  if (fresh) entry->attributes = *fresh;
  co_return 1;
}

}  // namespace benchfs
