// The drops. Dropping twice does no harm, so a try that failed half-way is simply repeated in
// whole.
#include "metadata/drop_queue.hpp"

#include <algorithm>
#include <vector>

#include "base/clock.hpp"
#include "base/log.hpp"
#include "metadata/pause.hpp"

namespace benchfs {
DropQueue::DropQueue(Loop& loop, MetaStore& store, ChunkStore& chunks, const SlotMap& map,
                     DropPeers& peers, Options options)
    : loop_(loop),
      store_(store),
      chunks_(chunks),
      map_(map),
      peers_(peers),
      options_(options),
      permits_(options.in_flight_max) {}

Task<Status> DropQueue::carry_out(DropIntent intent) {
  struct Told {
    ServerIndex server;
    Task<Status> task;
  };
  std::vector<Told> told;
  if (intent.spread) {
    for (std::uint32_t i = 0; i < map_.index_count(); ++i) {
      const auto server = static_cast<ServerIndex>(i);
      if (server == options_.self || !map_.contains(server)) continue;
      told.push_back({server, peers_.drop_data(server, intent.inode, intent.size, intent.remove)});
    }
  }
  auto here =
      intent.remove ? chunks_.remove(intent.inode) : chunks_.truncate(intent.inode, intent.size);
  Status outcome = co_await here;
  for (std::size_t i = 0; i < told.size(); ++i) {
    Task<Status>& task = told[i].task;
    const Status dropped = co_await task;
    if (dropped || !outcome) continue;
    outcome = dropped;
    outcome.error().server = told[i].server;
  }
  if (outcome) store_.finish_drop(intent);
  co_return outcome;
}

void DropQueue::carry_out_later(DropIntent intent, std::function<void()> done) {
  if (background_.closed()) return;
  retry(intent, std::move(done)).detach();
}

Task<void> DropQueue::retry(DropIntent intent, std::function<void()> done) {
  const Gate::Pass pass = background_.enter();
  RetryPauses pauses(loop_, background_, options_.retry_min_ns, options_.retry_max_ns);
  for (bool said = false; !background_.closed();) {
    auto permit = permits_.acquire();
    co_await permit;
    auto trying = carry_out(intent);
    const Status dropped = co_await trying;
    permits_.release();
    if (dropped) {
      if (said) log_info("the data of file {:x} are dropped everywhere now", intent.inode);
      if (done) done();
      co_return;
    }
    if (!said) {
      log_warn("the data of {} file {:x} are not dropped everywhere (server {}: {}); trying again",
               intent.remove ? "removed" : "shortened", intent.inode, dropped.error().server,
               to_text(dropped.error().code));
      said = true;
    }
    auto pausing = pauses.next();
    co_await pausing;
  }
}

Task<void> DropQueue::close() {
  background_.close();
  auto drained = background_.drained();
  co_await drained;
}

}  // namespace benchfs
