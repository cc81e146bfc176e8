// Pages for a check, and its repairs.
//
// A page of entries, inodes or chunk files is read by the helper thread, from the disk: the loop
// goes on meanwhile. A record that is looked at alone is as it is now, and told once it is written.
// A repair looks and changes within one turn of the loop, as everything does that changes metadata.
#include "check_service.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include "base/clock.hpp"
#include "metadata/answer.hpp"
#include "metadata/new_inode.hpp"

namespace benchfs {
namespace {

using Page = CheckService::Page;

/// False if there is no room for it: it is the first one of the next page.
template <class Record>
bool add(Page& page, const Record& record, std::string_view name = {}) {
  const std::size_t bytes = sizeof(record) + (name.size() + 7) / 8 * 8;
  const std::size_t at = page.records.size();
  if (at + bytes > page.room) {
    page.reply.more = 1;
    return false;
  }
  page.records.resize(at + bytes);
  std::memcpy(page.records.data() + at, &record, sizeof(record));
  if (!name.empty()) {
    std::memcpy(page.records.data() + at + sizeof(record), name.data(), name.size());
  }
  ++page.reply.records;
  return true;
}

bool add_entry(Page& page, InodeId parent, std::string_view name, Entry entry) {
  const auto bytes = static_cast<std::uint32_t>(name.size());
  return add(page, wire::ScannedEntry{parent, entry.inode, entry.type, bytes}, name);
}

bool add_inode(Page& page, const Inode& inode) {
  const wire::Attributes& from = inode.attributes;
  return add(page, wire::ScannedInode{from.inode, from.ctime_ns, from.mode, from.nlink});
}

/// What is not there is no error of who looks.
Status unless_missing(const Error& error) {
  if (error.code == Errc::not_found) return {};
  return std::unexpected(error);
}

bool known_type(std::uint32_t type) {
  return type == S_IFREG || type == S_IFDIR || type == S_IFLNK;
}

}  // namespace

void CheckService::add_to(Dispatcher& dispatcher) {
  dispatcher.add<wire::Scan>(*this, &CheckService::scan);
  dispatcher.add<wire::Repair>(*this, &CheckService::repair);
}

Task<void> CheckService::scan(Incoming incoming) {
  const auto request = incoming.body<wire::Scan>();
  auto task = scan_page(request, std::string(incoming.name()));
  const Result<Page> page = co_await task;
  if (!page) {
    co_await incoming.fail(page.error().code);
    co_return;
  }
  const std::span<const std::byte> records(page->records);
  co_await incoming.reply<wire::Scan>(page->reply, records);
}

Task<void> CheckService::repair(Incoming incoming) {
  const auto request = incoming.body<wire::Repair>();
  auto task = carry_out(request, std::string(incoming.name()));
  const Status done = co_await task;
  co_await answer_empty<wire::Repair>(incoming, done);
}

// ---- looking ----

Task<Result<Page>> CheckService::scan_page(wire::Scan::Request request, std::string name) {
  using Message = wire::Scan;
  const bool known = request.kind >= Message::kEntries && request.kind <= Message::kIntents;
  if (!known || request.exact > 1) co_return fail(Errc::bad_message);
  if (request.bytes_max < wire::kScanRecordMax) co_return fail(Errc::invalid);
  if (name.size() > kNameBytesMax) co_return fail(Errc::name_too_long);
  Page page;
  page.room = std::min(request.bytes_max, wire::kScanPageMax);
  Status done;
  if (request.kind == Message::kIntents) {
    auto task = scan_intents(request, &page);
    done = co_await task;
  } else if (request.exact != 0) {
    auto task = look(request, std::move(name), &page);
    done = co_await task;
  } else if (request.kind == Message::kData) {
    auto task = scan_data(request, &page);
    done = co_await task;
  } else {
    auto task = scan_store(request, std::move(name), &page);
    done = co_await task;
  }
  if (!done) co_return std::unexpected(done.error());
  page.reply.changes = moves_.changes();
  page.reply.bytes = static_cast<std::uint32_t>(page.records.size());
  co_return page;
}

Task<Status> CheckService::scan_store(wire::Scan::Request request, std::string name, Page* page) {
  auto settling = store_.settled();
  BFS_CO_CHECK(settled, co_await settling);
  Status done;
  const MetaStore& store = store_;
  auto call = offload_.run([&store, &request, &name, &done, page] {
    if (request.kind == wire::Scan::kInodes) {
      done = store.scan_inodes(request.after,
                               [page](const Inode& inode) { return add_inode(*page, inode); });
    } else {
      done = store.scan_entries(request.after, name,
                                [page](InodeId parent, std::string_view entry_name, Entry entry) {
                                  return add_entry(*page, parent, entry_name, entry);
                                });
    }
  });
  co_await call;
  co_return done;
}

Task<Status> CheckService::scan_data(wire::Scan::Request request, Page* page) {
  const std::size_t most = page->room / sizeof(wire::ScannedData);
  auto listing = chunks_.list(request.after, most);
  const auto listed = co_await listing;
  if (!listed) co_return std::unexpected(listed.error());
  for (const InodeId inode : *listed) add(*page, wire::ScannedData{inode, 0});
  page->reply.more = listed->size() == most ? 1 : 0;
  co_return Status{};
}

/// All of them each time: they are few, or the servers have just been started after a crash.
Task<Status> CheckService::scan_intents(wire::Scan::Request request, Page* page) {
  auto writing = store_.committed();
  BFS_CO_CHECK(written, co_await writing);
  std::vector<InodeId> inodes;
  BFS_CO_TRY(moves, store_.moves());
  for (const MoveIntent& intent : moves) inodes.push_back(intent.entry.inode);
  BFS_CO_TRY(drops, store_.drops());
  for (const DropIntent& intent : drops) inodes.push_back(intent.inode);
  BFS_CO_TRY(removals, store_.removals());
  for (const RemovalIntent& intent : removals) inodes.push_back(intent.inode);
  BFS_CO_TRY(applied, store_.applied());
  for (const Applied& done : applied) inodes.push_back(done.replaced.inode);
  std::sort(inodes.begin(), inodes.end());
  inodes.erase(std::unique(inodes.begin(), inodes.end()), inodes.end());
  auto next = std::upper_bound(inodes.begin(), inodes.end(), request.after);
  for (; next != inodes.end(); ++next) {
    if (!add(*page, *next)) break;
  }
  co_return Status{};
}

Task<Status> CheckService::look(wire::Scan::Request request, std::string name, Page* page) {
  for (;;) {
    if (request.kind == wire::Scan::kData) {
      BFS_CO_TRY(bytes, chunks_.stored(request.after));
      if (bytes) add(*page, wire::ScannedData{request.after, *bytes});
      co_return Status{};
    }
    if (request.kind == wire::Scan::kInodes) {
      const auto inode = store_.inode(request.after);
      if (inode) add_inode(*page, *inode);
      if (!inode) {
        BFS_CO_CHECK(missing, unless_missing(inode.error()));
      }
    } else {
      const auto entry = store_.entry(request.after, name);
      if (entry) add_entry(*page, request.after, name, *entry);
      if (!entry) {
        BFS_CO_CHECK(missing, unless_missing(entry.error()));
      }
    }
    // What was seen may be in the batch: it holds once that is written, else look again.
    if (!store_.pending()) co_return Status{};
    auto writing = store_.committed();
    const Status written = co_await writing;
    if (written) co_return Status{};
    page->records.clear();
    page->reply.records = 0;
  }
}

// ---- repairs ----

Task<Status> CheckService::carry_out(wire::Repair::Request request, std::string name) {
  const Status changed = change(request, name);
  auto writing = store_.committed();
  BFS_CO_CHECK(written, co_await writing);
  co_return changed;
}

Status CheckService::change(const wire::Repair::Request& request, std::string_view name) {
  if (request.operation == wire::Repair::kSetLinks) return set_links(request);
  BFS_CHECK(valid, check_name(name));
  if (request.operation == wire::Repair::kPutEntry) return put_entry(request, name);
  if (request.operation == wire::Repair::kRemoveEntry) return remove_entry(request, name);
  return fail(Errc::bad_message);
}

Status CheckService::set_links(const wire::Repair::Request& request) {
  if (map_.home(request.inode) != options_.self) return fail(Errc::stale_epoch);
  if (request.links == 0) return fail(Errc::invalid);
  BFS_TRY(inode, store_.inode(request.inode));
  wire::Attributes& attributes = inode.attributes;
  if (attributes.nlink == request.links) return {};
  if (attributes.nlink != request.links_before) return fail(Errc::stale);
  log_warn("repair: inode {:x} has {} links, and not {}", request.inode, request.links,
           attributes.nlink);
  attributes.nlink = request.links;
  attributes.ctime_ns = wall_ns();
  store_.update_inode(inode);
  return {};
}

Status CheckService::put_entry(const wire::Repair::Request& request, std::string_view name) {
  if (map_.owner(entry_slot(request.parent, name)) != options_.self) return fail(Errc::stale_epoch);
  if (!known_type(request.type)) return fail(Errc::invalid);
  BFS_CHECK(free, moves_.check_free(request.parent, name));
  BFS_CHECK(open, removals_.check_parent(request.parent));
  const auto entry = store_.entry(request.parent, name);
  if (entry && entry->inode != request.inode) return fail(Errc::exists);
  if (!entry) {
    BFS_CHECK(missing, unless_missing(entry.error()));
  }
  if (entry && entry->type == request.type) return {};
  log_warn("repair: inode {:x} gets the entry \"{}\" in directory {:x}", request.inode, name,
           request.parent);
  store_.put_entry(request.parent, name, Entry{request.inode, request.type});
  return {};
}

/// Also one that is not of this server's slots.
Status CheckService::remove_entry(const wire::Repair::Request& request, std::string_view name) {
  BFS_CHECK(free, moves_.check_free(request.parent, name));
  BFS_CHECK(stays, removals_.check_stays(request.inode));
  const auto entry = store_.entry(request.parent, name);
  if (!entry) return unless_missing(entry.error());
  if (entry->inode != request.inode) return fail(Errc::stale);
  log_warn("repair: the entry \"{}\" in directory {:x}, of inode {:x}, goes", name, request.parent,
           request.inode);
  store_.remove_entry(request.parent, name);
  return {};
}

}  // namespace benchfs
