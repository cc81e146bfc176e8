// Handlers of the data messages.
//
// A write whose data came inside the message is written from where it lies. Larger ones are fetched
// into one block, with the table of pieces placed so that the data starts on a page: then O_DIRECT
// can take it. A list's runs are in flight together, so that a device sees a queue; and a long list
// gives way to other requests now and then.
#include "storage/data_service.hpp"

#include <algorithm>
#include <cstring>
#include <deque>

#include "base/log.hpp"
#include "base/text.hpp"

namespace benchfs {
namespace {

/// Runs of one request that are in flight at once.
constexpr std::size_t kRunsInFlight = 32;
/// Runs after which a request lets others have a turn: about a quarter of a millisecond.
constexpr std::size_t kRunsPerTurn = 256;

constexpr std::size_t round_up(std::size_t value, std::size_t to) {
  return (value + to - 1) / to * to;
}

}  // namespace

DataService::DataService(Loop& loop, ChunkStore& store, BufferPool& pool, const SlotMap& map,
                         SyncMetadata sync_metadata, ServiceCounters& counters, Options options)
    : loop_(loop),
      store_(store),
      pool_(pool),
      map_(map),
      sync_metadata_(std::move(sync_metadata)),
      counters_(counters),
      options_(options) {
  BFS_ASSERT(pool_.block_bytes() >= block_bytes(options_.rpc_bytes_max));
}

void DataService::add_to(Dispatcher& dispatcher) {
  dispatcher.add<wire::Read>(*this, &DataService::read);
  dispatcher.add<wire::Write>(*this, &DataService::write);
  dispatcher.add<wire::Sync>(*this, &DataService::sync);
  dispatcher.add<wire::DropData>(*this, &DataService::drop_data);
}

Task<void> DataService::refuse(Incoming& incoming, Error error) {
  if (error.code == Errc::io) {
    log_error("{} failed on the storage: errno {}", wire::message_name(incoming.header().msg_id),
              error.native);
  }
  co_await incoming.fail(error.code);
}

Task<void> DataService::read(Incoming incoming) {
  const auto request = PieceList::request_of(incoming.body<wire::Read>());
  const auto table_bytes = PieceList::table_bytes(request);
  if (!table_bytes || incoming.payload_bytes() != *table_bytes ||
      request.bytes > options_.rpc_bytes_max) {
    co_await incoming.fail(Errc::bad_message);
    co_return;
  }
  // A table that has to be fetched lies behind the data in the same block: one request never waits
  // for a second block while it has one.
  const bool fetch = *table_bytes > 0 && !incoming.payload_in_memory();
  const std::size_t table_at = round_up(request.bytes, alignof(wire::Piece));
  auto wait = pool_.acquire(fetch ? table_at + *table_bytes : request.bytes);
  const BufferPool::Lease block = co_await wait;
  std::span<const std::byte> table;
  if (fetch) {
    const auto into = block.bytes().subspan(table_at, *table_bytes);
    auto fetching = incoming.receive(into);
    const Status fetched = co_await fetching;
    if (!fetched) {
      co_await refuse(incoming, fetched.error());
      co_return;
    }
    table = into;
  } else if (*table_bytes > 0) {
    table = incoming.payload();
    const Status intact = incoming.verify(table);
    if (!intact) {
      co_await refuse(incoming, intact.error());
      co_return;
    }
  }
  const auto list = PieceList::check(request, table, map_, options_.self, options_.rpc_bytes_max);
  if (!list) {
    co_await refuse(incoming, list.error());
    co_return;
  }
  auto reading = read_pieces(request.inode, *list, block.first(request.bytes));
  auto body = co_await reading;
  if (!body) {
    co_await refuse(incoming, body.error());
    co_return;
  }
  if (body->data_end != ~0ull && home_of(request.inode)) {
    // The reader needs it to tell a hole from the end of the file. Without it he asks himself.
    auto asking = options_.sizes->size(request.inode);
    const Result<std::uint64_t> size = co_await asking;
    if (size) {
      body->size = *size;
      body->size_here = 1;
    }
  }
  counters_.read_bytes += body->bytes;
  const std::span<const std::byte> data = block.first(body->bytes);
  co_await incoming.reply<wire::Read>(*body, data);  // the block is ours until this has ended
}

Task<Result<wire::Read::Reply>> DataService::read_pieces(InodeId inode, PieceList list,
                                                         std::span<std::byte> into) {
  wire::Read::Reply reply{~0ull, static_cast<std::uint32_t>(list.bytes()), 0, 0};
  PieceList::Walk walk = list.walk();
  std::optional<Run> run = walk.next();
  if (run->bytes == list.bytes()) {  // one run, as most requests are
    auto reading = store_.read(inode, run->offset, into.first(run->bytes));
    const Result<std::size_t> count = co_await reading;
    if (!count) co_return std::unexpected(count.error());
    if (*count == run->bytes) co_return reply;
    reply.data_end = run->offset + *count;
    if (list.is_list()) {
      std::memset(into.data() + *count, 0, run->bytes - *count);
    } else {
      reply.bytes = static_cast<std::uint32_t>(*count);
    }
    co_return reply;
  }

  struct Reading {
    Run run;
    Task<Result<std::size_t>> task;
  };
  std::deque<Reading> in_flight;
  std::optional<Error> failed;
  std::size_t started = 0;
  std::uint64_t present_end = 0;
  bool complete = true;
  while (run.has_value() || !in_flight.empty()) {
    if (run.has_value() && in_flight.size() < kRunsInFlight) {
      if (++started % kRunsPerTurn == 0) co_await loop_.next_turn();
      const auto part = into.subspan(run->data_offset, run->bytes);
      in_flight.push_back(Reading{*run, store_.read(inode, run->offset, part)});
      run = walk.next();
      if (!in_flight.front().task.done()) continue;
    }
    Reading& oldest = in_flight.front();
    const Result<std::size_t> count = co_await oldest.task;
    if (!count) {
      failed = count.error();
      run.reset();  // nothing more is begun, but the buffer is the kernel's until all have ended
    } else {
      if (*count > 0) present_end = std::max(present_end, oldest.run.offset + *count);
      complete = complete && *count == oldest.run.bytes;
      std::memset(into.data() + oldest.run.data_offset + *count, 0, oldest.run.bytes - *count);
    }
    in_flight.pop_front();
  }
  if (failed) co_return std::unexpected(*failed);
  if (!complete) reply.data_end = present_end;
  co_return reply;
}

Task<void> DataService::write(Incoming incoming) {
  const auto request = PieceList::request_of(incoming.body<wire::Write>());
  const auto table_bytes = PieceList::table_bytes(request);
  const std::uint32_t flags = incoming.body<wire::Write>().flags;
  if (!table_bytes || request.bytes > options_.rpc_bytes_max ||
      (flags & ~wire::Write::kMergeSize) != 0 ||
      incoming.payload_bytes() != *table_bytes + request.bytes) {
    co_await incoming.fail(Errc::bad_message);
    co_return;
  }
  if (!incoming.payload_in_memory()) {
    co_await write_fetched(incoming, request, *table_bytes);
    co_return;
  }
  const Status intact = incoming.verify(incoming.payload());
  if (!intact) {
    co_await refuse(incoming, intact.error());
    co_return;
  }
  co_await finish_write(incoming, request, incoming.payload(), *table_bytes);
}

Task<void> DataService::write_fetched(Incoming& incoming, PieceList::Request request,
                                      std::size_t table_bytes) {
  if (table_bytes == 0) {  // all is known: refuse it before it is fetched
    const auto list = PieceList::check(request, {}, map_, options_.self, options_.rpc_bytes_max);
    if (!list) {
      co_await refuse(incoming, list.error());
      co_return;
    }
  }
  const std::size_t data_at = round_up(table_bytes, BufferPool::kAlignment);
  auto wait = pool_.acquire(data_at + request.bytes);
  const BufferPool::Lease block = co_await wait;
  const auto payload =
      block.bytes().subspan(data_at - table_bytes, table_bytes + std::size_t{request.bytes});
  auto fetching = incoming.receive(payload);
  const Status fetched = co_await fetching;
  if (!fetched) {
    co_await refuse(incoming, fetched.error());
    co_return;
  }
  co_await finish_write(incoming, request, payload, table_bytes);
}

Task<void> DataService::finish_write(Incoming& incoming, PieceList::Request request,
                                     std::span<const std::byte> payload, std::size_t table_bytes) {
  const auto table = payload.first(table_bytes);
  const auto list = PieceList::check(request, table, map_, options_.self, options_.rpc_bytes_max);
  if (!list) {
    co_await refuse(incoming, list.error());
    co_return;
  }
  std::optional<QuotaShares::Hold> share;
  if (quota_of(request.inode) != 0 && options_.quotas != nullptr) {
    auto asking = options_.quotas->admit(request.inode, *list);
    Result<QuotaShares::Hold> admitted = co_await asking;
    if (!admitted) {
      co_await refuse(incoming, admitted.error());
      co_return;
    }
    share.emplace(std::move(*admitted));
  }
  std::optional<Space::Hold> hold;
  if (options_.space != nullptr) {
    hold = options_.space->admit_at_once(*list);
    if (!hold) {
      auto asking = options_.space->admit(request.inode, *list);
      Result<Space::Hold> admitted = co_await asking;
      if (!admitted) {
        co_await refuse(incoming, admitted.error());
        co_return;
      }
      hold.emplace(std::move(*admitted));
    }
  }
  auto writing = write_pieces(request.inode, *list, payload.subspan(table_bytes));
  const Status written = co_await writing;
  hold.reset();
  share.reset();
  if (!written) {
    co_await refuse(incoming, written.error());
    co_return;
  }
  counters_.written_bytes += request.bytes;
  wire::Write::Reply reply{request.bytes, 0};
  if ((incoming.body<wire::Write>().flags & wire::Write::kMergeSize) != 0 &&
      home_of(request.inode)) {
    auto merging = merge_size(request.inode, list->end());
    const Result<bool> merged = co_await merging;
    if (!merged) {
      co_await refuse(incoming, merged.error());
      co_return;
    }
    reply.merged = *merged ? 1 : 0;
  }
  co_await incoming.reply<wire::Write>(reply);
}

/// False if the file was removed meanwhile: the writer hears of that when he tells its size.
Task<Result<bool>> DataService::merge_size(InodeId inode, std::uint64_t end) {
  auto merging = options_.sizes->merge(inode, end);
  const Status merged = co_await merging;
  if (merged) co_return true;
  if (merged.error().code == Errc::not_found) co_return false;
  co_return std::unexpected(merged.error());
}

Task<Status> DataService::write_pieces(InodeId inode, PieceList list,
                                       std::span<const std::byte> data) {
  PieceList::Walk walk = list.walk();
  std::optional<Run> run = walk.next();
  if (run->bytes == list.bytes()) {
    auto writing = store_.write(inode, run->offset, data);
    co_return co_await writing;
  }
  std::deque<Task<Status>> in_flight;
  Status outcome;
  std::size_t started = 0;
  while (run.has_value() || !in_flight.empty()) {
    if (run.has_value() && in_flight.size() < kRunsInFlight) {
      if (++started % kRunsPerTurn == 0) co_await loop_.next_turn();
      const auto part = data.subspan(run->data_offset, run->bytes);
      in_flight.push_back(store_.write(inode, run->offset, part));
      run = walk.next();
      if (!in_flight.front().done()) continue;
    }
    Task<Status>& oldest = in_flight.front();
    const Status written = co_await oldest;
    if (!written) {
      if (outcome) outcome = written;
      run.reset();
    }
    in_flight.pop_front();
  }
  co_return outcome;
}

Task<void> DataService::sync(Incoming incoming) {
  const auto request = incoming.body<wire::Sync>();
  constexpr std::uint32_t kKnown = wire::Sync::kData | wire::Sync::kMetadata;
  if (request.flags == 0 || (request.flags & ~kKnown) != 0) {
    co_await incoming.fail(Errc::bad_message);
    co_return;
  }
  // Both are under way before either is waited for.
  std::optional<Task<Status>> metadata;
  if ((request.flags & wire::Sync::kMetadata) != 0) metadata.emplace(sync_metadata_());
  Status outcome;
  if ((request.flags & wire::Sync::kData) != 0) {
    auto data = request.inode == 0 ? store_.sync_all() : store_.sync(request.inode);
    outcome = co_await data;
  }
  if (metadata) {
    Task<Status>& task = *metadata;
    const Status synced = co_await task;
    if (outcome) outcome = synced;
  }
  if (!outcome) {
    co_await refuse(incoming, outcome.error());
    co_return;
  }
  co_await incoming.reply<wire::Sync>(wire::Empty{});
}

Task<void> DataService::drop_data(Incoming incoming) {
  const auto request = incoming.body<wire::DropData>();
  if (request.remove > 1 || request.size > kFileBytesMax) {
    co_await incoming.fail(Errc::bad_message);
    co_return;
  }
  auto dropping = request.remove != 0 ? store_.remove(request.inode)
                                      : store_.truncate(request.inode, request.size);
  const Status dropped = co_await dropping;
  if (!dropped) {
    co_await refuse(incoming, dropped.error());
    co_return;
  }
  co_await incoming.reply<wire::DropData>(wire::Empty{});
}

}  // namespace benchfs
