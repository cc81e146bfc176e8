// Pages of records from the servers. What a server sends is checked before it is used: a page whose
// records do not fill it exactly is a malformed message.
#include "client/fsck_scan.hpp"

#include <algorithm>
#include <cstring>

#include "client/call_entry.hpp"

namespace benchfs {
namespace {

using Message = wire::Scan;
/// Servers that are asked for pages at the same time: each page is up to 1 MiB here.
constexpr std::size_t kAskedMax = 8;

template <class Record>
Record read(std::span<const std::byte> bytes) {
  Record record;
  std::memcpy(&record, bytes.data(), sizeof(record));
  return record;
}

/// Of the record that begins there, with its name; 0: it is none.
std::size_t record_bytes(std::uint32_t kind, std::span<const std::byte> from) {
  std::size_t bytes = 0;
  switch (kind) {
    case Message::kEntries: {
      if (from.size() < sizeof(wire::ScannedEntry)) return 0;
      const auto entry = read<wire::ScannedEntry>(from);
      if (entry.name_bytes == 0 || entry.name_bytes > kNameBytesMax) return 0;
      bytes = sizeof(entry) + (entry.name_bytes + 7) / 8 * 8;
      break;
    }
    case Message::kInodes:
      bytes = sizeof(wire::ScannedInode);
      break;
    case Message::kData:
      bytes = sizeof(wire::ScannedData);
      break;
    default:
      bytes = sizeof(InodeId);
  }
  return bytes <= from.size() ? bytes : 0;
}

std::string_view name_of(std::span<const std::byte> record) {
  const auto entry = read<wire::ScannedEntry>(record);
  return {reinterpret_cast<const char*>(record.data()) + sizeof(entry), entry.name_bytes};
}

}  // namespace

bool Scanner::Intents::has(InodeId inode) const {
  return std::binary_search(inodes.begin(), inodes.end(), inode);
}

Task<Result<Scanner::Page>> Scanner::page(ServerIndex server, Message::Request request,
                                          std::string name, std::uint32_t bytes) {
  Page page;
  page.records.resize(bytes);
  request.bytes_max = bytes;
  const std::span<std::byte> into(page.records);
  const auto answer =
      co_await client_.caller().call<Message>(server, request, bytes_of(name), into);
  if (!answer) co_return std::unexpected(answer.error());
  page.reply = answer->body;
  if (page.reply.bytes != answer->payload_bytes) co_return fail(Errc::bad_message, 0, server);
  page.records.resize(answer->payload_bytes);
  std::span<const std::byte> rest(page.records);
  std::uint32_t records = 0;
  for (; !rest.empty(); ++records) {
    const std::size_t size = record_bytes(request.kind, rest);
    if (size == 0) co_return fail(Errc::bad_message, 0, server);
    rest = rest.subspan(size);
  }
  const bool stuck = page.reply.more != 0 && records == 0;
  if (records != page.reply.records || stuck) co_return fail(Errc::bad_message, 0, server);
  co_return page;
}

Task<Status> Scanner::pages(ServerIndex server, std::uint32_t kind, const Visit* visit) {
  InodeId after = 0;
  std::string name;
  for (bool more = true; more;) {
    const Message::Request request{after, kind, 0, 0, 0};
    auto asking = page(server, request, name, wire::kScanPageMax);
    BFS_CO_TRY(got, co_await asking);
    std::span<const std::byte> rest(got.records);
    while (!rest.empty()) {
      const auto record = rest.first(record_bytes(kind, rest));
      (*visit)(server, record);
      after = read<InodeId>(record);  // every record begins with what its key begins with
      if (kind == Message::kEntries) name = name_of(record);
      rest = rest.subspan(record.size());
    }
    more = got.reply.more != 0;
  }
  co_return Status{};
}

Task<Status> Scanner::some(std::uint32_t kind, const Visit* visit, std::size_t* next_server) {
  const std::size_t servers = client_.cluster().servers.size();
  while (*next_server < servers) {
    const auto server = static_cast<ServerIndex>((*next_server)++);
    auto reading = pages(server, kind, visit);
    BFS_CO_CHECK(read, co_await reading);
  }
  co_return Status{};
}

Task<Status> Scanner::all(std::uint32_t kind, const Visit* visit) {
  std::size_t next_server = 0;
  std::vector<Task<Status>> tasks;
  const std::size_t count = std::min(kAskedMax, client_.cluster().servers.size());
  for (std::size_t i = 0; i < count; ++i) tasks.push_back(some(kind, visit, &next_server));
  Status outcome;
  for (Task<Status>& task : tasks) {
    const Status done = co_await task;
    if (!done && outcome) outcome = done;
  }
  co_return outcome;
}

Task<Status> Scanner::entries(VisitEntry visit) {
  const Visit each = [&visit](ServerIndex server, std::span<const std::byte> record) {
    visit(server, read<wire::ScannedEntry>(record), name_of(record));
  };
  auto scanning = all(Message::kEntries, &each);
  co_return co_await scanning;
}

Task<Status> Scanner::inodes(VisitInode visit) {
  const Visit each = [&visit](ServerIndex server, std::span<const std::byte> record) {
    visit(server, read<wire::ScannedInode>(record));
  };
  auto scanning = all(Message::kInodes, &each);
  co_return co_await scanning;
}

Task<Status> Scanner::data(VisitData visit) {
  const Visit each = [&visit](ServerIndex server, std::span<const std::byte> record) {
    visit(server, read<InodeId>(record));
  };
  auto scanning = all(Message::kData, &each);
  co_return co_await scanning;
}

Task<Result<Scanner::Intents>> Scanner::intents() {
  Intents intents;
  for (std::size_t i = 0; i < client_.cluster().servers.size(); ++i) {
    const auto server = static_cast<ServerIndex>(i);
    InodeId after = 0;
    for (bool more = true; more;) {
      const Message::Request request{after, Message::kIntents, 0, 0, 0};
      auto asking = page(server, request, {}, wire::kScanPageMax);
      BFS_CO_TRY(got, co_await asking);
      std::span<const std::byte> rest(got.records);
      for (; !rest.empty(); rest = rest.subspan(sizeof(InodeId))) {
        after = read<InodeId>(rest);
        intents.inodes.push_back(after);
      }
      more = got.reply.more != 0;
      if (!more) intents.changes += got.reply.changes;
    }
  }
  std::sort(intents.inodes.begin(), intents.inodes.end());
  co_return intents;
}

// ---- one record ----

Task<Result<Scanner::Page>> Scanner::look(ServerIndex server, std::uint32_t kind, InodeId inode,
                                          std::string name) {
  const Message::Request request{inode, kind, 0, 1, 0};
  auto asking = page(server, request, std::move(name), wire::kScanRecordMax);
  BFS_CO_TRY(got, co_await asking);
  if (got.reply.records > 1) co_return fail(Errc::bad_message, 0, server);
  co_return std::move(got);
}

template <class Record>
Task<Result<std::optional<Record>>> Scanner::one(ServerIndex server, std::uint32_t kind,
                                                 InodeId inode, std::string name) {
  auto looking = look(server, kind, inode, std::move(name));
  BFS_CO_TRY(got, co_await looking);
  std::optional<Record> found;
  if (!got.records.empty()) found = read<Record>(got.records);
  co_return found;
}

Task<Result<std::optional<wire::ScannedEntry>>> Scanner::entry(ServerIndex server, InodeId parent,
                                                               std::string name) {
  return one<wire::ScannedEntry>(server, Message::kEntries, parent, std::move(name));
}

Task<Result<std::optional<wire::ScannedInode>>> Scanner::inode(ServerIndex server, InodeId inode) {
  return one<wire::ScannedInode>(server, Message::kInodes, inode, {});
}

Task<Result<std::optional<wire::ScannedData>>> Scanner::data_of(ServerIndex server, InodeId inode) {
  return one<wire::ScannedData>(server, Message::kData, inode, {});
}

// ---- repairs ----

Task<Status> Scanner::repair(ServerIndex server, wire::Repair::Request request, std::string name) {
  const auto answer = co_await client_.caller().call<wire::Repair>(server, request, bytes_of(name));
  if (!answer) co_return std::unexpected(answer.error());
  co_return Status{};
}

}  // namespace benchfs
