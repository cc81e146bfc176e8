// Listing what fits of a directory: as directory.cc, but each server looks at its entries itself,
// and tells what fits. What is not decided there (the inode is on another server, as after a
// rename) is decided here.
#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include "client/client.hpp"
#include "client/directory.hpp"

namespace benchfs {
namespace {

constexpr std::uint32_t kPageBytes = 32768;

/// The entry at `at` of the page's first `size` bytes, and the place behind it; false if it is
/// malformed.
bool read_found(std::span<const std::byte> page, std::size_t& at, ListedEntry& entry) {
  wire::FoundEntry head{};
  if (page.size() - at < sizeof(head)) return false;
  std::memcpy(&head, page.data() + at, sizeof(head));
  std::size_t end = at + sizeof(head);
  entry.has_attributes = (head.flags & wire::FoundEntry::kAttributesHere) != 0;
  if (entry.has_attributes) {
    if (page.size() - end < sizeof(entry.attributes)) return false;
    std::memcpy(&entry.attributes, page.data() + end, sizeof(entry.attributes));
    end += sizeof(entry.attributes);
  }
  const std::size_t padded = (std::size_t{head.name_bytes} + 7) / 8 * 8;
  if (head.name_bytes == 0 || head.name_bytes > kNameBytesMax || page.size() - end < padded) {
    return false;
  }
  entry.inode = head.inode;
  entry.type = head.type;
  entry.fits = (head.flags & wire::FoundEntry::kFits) != 0;
  entry.undecided = (head.flags & wire::FoundEntry::kUndecided) != 0;
  entry.name.assign(reinterpret_cast<const char*>(page.data() + end), head.name_bytes);
  at = end + padded;
  return true;
}

}  // namespace

Task<Result<OpenDirectory*>> Client::open_search(std::string_view path, Match match,
                                                 bool attributes, bool descend) {
  // Servers look at the sizes that they know.
  std::vector<InodeId> written;
  for (const auto& [inode, file] : files_) {
    if (file->size_dirty) written.push_back(inode);
  }
  for (const InodeId inode : written) {
    BFS_CO_TRY(flushed, co_await flush_sizes_of(inode));
    static_cast<void>(flushed);
  }
  BFS_CO_TRY(directory, co_await open_directory(path, attributes));
  directory->search =
      std::make_unique<OpenDirectory::Search>(OpenDirectory::Search{std::move(match), descend});
  co_return directory;
}

Task<Status> Client::find_page(OpenDirectory* directory, std::size_t index) {
  using Message = wire::FindEntries;
  const OpenDirectory::Search& search = *directory->search;
  const Match& match = search.match;
  const ServerIndex server = directory->parts[index].server;
  const std::string& after = directory->parts[index].after;
  const Message::Request request{
      .parent = directory->inode,
      .size_min = match.size_min,
      .size_max = match.size_max,
      .mtime_min_ns = match.mtime_min_ns,
      .mtime_max_ns = match.mtime_max_ns,
      .bytes_max = kPageBytes,
      .flags = (directory->attributes ? Message::kAttributes : 0) |
               (search.descend ? Message::kDescend : 0) | (match.empty ? Message::kEmpty : 0),
      .types = match.types,
      .after_bytes = static_cast<std::uint16_t>(after.size()),
      .name_bytes = static_cast<std::uint16_t>(match.name.size()),
      .any_case_name_bytes = static_cast<std::uint16_t>(match.any_case_name.size())};
  const std::string names = after + match.name + match.any_case_name;
  OpenDirectory::Page page;
  page.server = server;
  page.bytes.resize(kPageBytes + kNameBytesMax);
  const auto payload = std::as_bytes(std::span{names.data(), names.size()});
  const std::span<std::byte> into(page.bytes);
  const EntryCache::Ticket ticket = cache_->ticket();
  const auto answer = co_await caller_->call<Message>(server, request, payload, into);
  OpenDirectory::Part& part = directory->parts[index];
  if (!answer) {
    // Removed since it was opened: then it has no entries, as POSIX has it.
    if (answer.error().code != Errc::not_found) co_return std::unexpected(answer.error());
    part.done = true;
    co_return Status{};
  }
  const Message::Reply& reply = answer->body;
  if (std::size_t{reply.bytes} + reply.after_bytes != answer->payload_bytes ||
      reply.after_bytes > kNameBytesMax) {
    co_return fail(Errc::bad_message, 0, server);
  }
  part.done = reply.after_bytes == 0;
  part.after.assign(reinterpret_cast<const char*>(page.bytes.data()) + reply.bytes,
                    reply.after_bytes);
  page.bytes.resize(reply.bytes);
  std::uint32_t entries = 0;
  ListedEntry entry;
  for (std::size_t at = 0; at < page.bytes.size(); ++entries) {
    if (!read_found(page.bytes, at, entry)) co_return fail(Errc::bad_message, 0, server);
    if (S_ISDIR(entry.type)) {
      cache_->put(ticket, directory->inode, entry.name, {entry.inode, entry.type});
    }
  }
  if (entries != reply.entries) co_return fail(Errc::bad_message, 0, server);
  directory->search->seen += reply.seen;
  if (entries > 0) {
    page.bytes.shrink_to_fit();
    directory->pages.push_back(std::move(page));
  }
  co_return Status{};
}

/// Decides an entry whose inode is elsewhere. False: it was removed meanwhile.
Task<Result<bool>> Client::decide(OpenDirectory* directory, ListedEntry* entry) {
  const auto found = co_await attributes(entry->inode);
  if (!found && found.error().code == Errc::not_found) co_return false;
  if (!found) co_return std::unexpected(found.error());
  const Match& match = directory->search->match;
  entry->fits = attributes_fit(match, entry->type, found->size, found->mtime_ns);
  entry->has_attributes = directory->attributes;
  entry->attributes = *found;
  co_return true;
}

Task<Outcome> Client::next_found(OpenDirectory* directory, ListedEntry* entry) {
  const auto done = [](const OpenDirectory::Part& part) { return part.done; };
  for (;;) {
    while (directory->pages.empty()) {
      if (std::ranges::all_of(directory->parts, done)) co_return 0;
      // An error does not lose what came with it: the next call goes on.
      BFS_CO_CHECK(filled, co_await fill(directory));
    }
    OpenDirectory::Page& page = directory->pages.front();
    const bool whole = read_found(page.bytes, page.at, *entry);
    BFS_ASSERT(whole);  // checked when the page came
    if (page.at == page.bytes.size()) directory->pages.pop_front();
    if (entry->undecided) {
      const Result<bool> there = co_await decide(directory, entry);
      if (!there) co_return std::unexpected(there.error());
      if (!*there) continue;
    }
    if (entry->fits || (directory->search->descend && S_ISDIR(entry->type))) co_return 1;
  }
}

}  // namespace benchfs
