// A search goes through the directory's entries in the order of their names, a few at a time, and
// gives way to other requests in between. Each step sees what was written before it.
#include "metadata/search.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include "metadata/new_inode.hpp"

namespace benchfs {
namespace {

using Message = wire::FindEntries;

template <class Record>
void append(std::vector<std::byte>& bytes, const Record& record) {
  const auto* from = reinterpret_cast<const std::byte*>(&record);
  bytes.insert(bytes.end(), from, from + sizeof(record));
}

}  // namespace

/// A search on its way.
struct Search::Run {
  Message::Request request{};
  Match match;
  bool attributes = false;  ///< are needed to decide
  std::string after;
  bool ended = false;  ///< there are no more entries
  bool full = false;
};

void Search::add_to(Dispatcher& dispatcher) {
  dispatcher.add<Message>(*this, &Search::find_entries);
}

Task<void> Search::find_entries(Incoming incoming) {
  const auto request = incoming.body<Message>();
  auto task = find(request, std::string(incoming.name()));
  const auto page = co_await task;
  if (page) {
    const std::span<const std::byte> bytes(page->bytes);
    co_await incoming.reply<Message>(page->reply, bytes);
  } else {
    co_await incoming.fail(page.error().code);
  }
}

Task<Result<Search::Page>> Search::find(Message::Request request, std::string names) {
  constexpr std::uint32_t kKnown = Message::kAttributes | Message::kDescend | Message::kEmpty;
  constexpr std::uint16_t kTypes = Match::kFiles | Match::kDirectories | Match::kLinks;
  const std::size_t patterns = std::size_t{request.name_bytes} + request.any_case_name_bytes;
  if ((request.flags & ~kKnown) != 0 || (request.types & ~kTypes) != 0 ||
      names.size() != request.after_bytes + patterns || request.name_bytes > kPatternBytesMax ||
      request.any_case_name_bytes > kPatternBytesMax ||
      names.find('\0', request.after_bytes) != names.npos) {
    co_return fail(Errc::bad_message);
  }
  if (request.bytes_max < wire::kFoundEntryMax) co_return fail(Errc::invalid);
  Run run{.request = request,
          .match = {.name = names.substr(request.after_bytes, request.name_bytes),
                    .any_case_name = names.substr(request.after_bytes + request.name_bytes),
                    .types = request.types,
                    .empty = (request.flags & Message::kEmpty) != 0,
                    .size_min = request.size_min,
                    .size_max = request.size_max,
                    .mtime_min_ns = request.mtime_min_ns,
                    .mtime_max_ns = request.mtime_max_ns},
          .after = names.substr(0, request.after_bytes)};
  run.attributes = needs_attributes(run.match);
  if (!run.after.empty()) {
    BFS_CO_CHECK(valid, check_name(run.after));
  }
  Page page;
  while (!run.ended && !run.full && page.reply.seen < kPerMessage) {
    Run step = run;
    const Page before{page.reply, {}};
    const std::size_t bytes = page.bytes.size();
    BFS_CO_CHECK(looked, look(step, page));
    if (store_.pending()) {
      // What was seen may be in the batch: it holds once that is written, else look again.
      auto writing = store_.committed();
      const Status written = co_await writing;
      if (!written) {
        page.reply = before.reply;
        page.bytes.resize(bytes);
        continue;
      }
    } else if (!step.ended && !step.full) {
      auto others = loop_.next_turn();
      co_await others;
    }
    run = std::move(step);
  }
  page.reply.bytes = static_cast<std::uint32_t>(page.bytes.size());
  if (!run.ended) {
    page.reply.after_bytes = static_cast<std::uint32_t>(run.after.size());
    const auto name = std::as_bytes(std::span{run.after.data(), run.after.size()});
    page.bytes.insert(page.bytes.end(), name.begin(), name.end());
  }
  co_return page;
}

/// The next few entries.
Status Search::look(Run& run, Page& page) const {
  const InodeId parent = run.request.parent;
  if (map_.home(parent) == self_) {
    BFS_TRY(inode, store_.inode(parent));
    if (!S_ISDIR(inode.attributes.mode)) return fail(Errc::not_directory);
  }
  Status read;
  std::uint32_t looked = 0;
  run.ended = true;
  const std::string after = run.after;
  const Status listed = store_.entries(parent, after, [&](std::string_view key, Entry entry) {
    std::string name(key);
    run.ended = looked < kPerTurn;
    if (!run.ended) return false;
    const Result<bool> taken = take(run, name, entry, page);
    if (!taken) read = std::unexpected(taken.error());
    run.full = taken && !*taken;
    if (!read || run.full) {
      run.ended = false;
      return false;
    }
    ++looked;
    ++page.reply.seen;
    run.after = std::move(name);
    return true;
  });
  if (!listed) return listed;
  return read;
}

Result<bool> Search::take(const Run& run, const std::string& name, Entry entry, Page& page) const {
  bool fits = name_fits(run.match, entry.type, name);
  const bool descend = (run.request.flags & Message::kDescend) != 0 && S_ISDIR(entry.type);
  if (!fits && !descend) return true;
  const bool wanted = fits && (run.attributes || (run.request.flags & Message::kAttributes) != 0);
  const bool here = wanted && map_.home(entry.inode) == self_;
  wire::Attributes attributes{};
  if (here) {
    const auto inode = store_.inode(entry.inode);
    if (!inode) {
      // A renamed file may have been removed by its new name before the old one is gone.
      const Status free = moves_.check_free(run.request.parent, name);
      if (inode.error().code == Errc::not_found && !free) return true;
      return std::unexpected(inconsistent(entry.inode, inode.error()));
    }
    attributes = inode->attributes;
    fits = attributes_fit(run.match, entry.type, attributes.size, attributes.mtime_ns);
    if (!fits && !descend) return true;
  }
  const bool tell = here && fits && (run.request.flags & Message::kAttributes) != 0;
  const std::size_t padded = (name.size() + 7) / 8 * 8;
  const std::size_t bytes = sizeof(wire::FoundEntry) + (tell ? sizeof(attributes) : 0) + padded;
  const std::size_t room = std::min(run.request.bytes_max, wire::kFoundPageMax);
  if (page.bytes.size() + bytes > room) return false;
  std::uint16_t flags = tell ? wire::FoundEntry::kAttributesHere : 0;
  if (fits) flags |= wanted && !here ? wire::FoundEntry::kUndecided : wire::FoundEntry::kFits;
  append(page.bytes,
         wire::FoundEntry{entry.inode, entry.type, static_cast<std::uint16_t>(name.size()), flags});
  if (tell) append(page.bytes, attributes);
  const std::size_t at = page.bytes.size();
  page.bytes.resize(at + padded);
  std::memcpy(page.bytes.data() + at, name.data(), name.size());
  ++page.reply.entries;
  return true;
}

}  // namespace benchfs
