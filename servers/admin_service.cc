// The administration messages: what a server says of itself.
#include "admin_service.hpp"

#include <algorithm>

#include "base/clock.hpp"

namespace benchfs {

AdminService::AdminService(Dispatcher& dispatcher, const MetaStore& meta, ChunkStore& chunks,
                           Space& space, const LocalService* local)
    : dispatcher_(dispatcher),
      meta_(meta),
      chunks_(chunks),
      space_(space),
      local_(local),
      started_ms_(now_ms()) {}

void AdminService::add_to(Dispatcher& dispatcher) {
  dispatcher.add<wire::ServerStatus>(*this, &AdminService::status);
  dispatcher.add<wire::ServerSpace>(*this, &AdminService::space);
}

Task<void> AdminService::status(Incoming incoming) {
  const auto usage = chunks_.usage();
  if (!usage) {
    co_await incoming.fail(usage.error().code);
    co_return;
  }
  const ServiceCounters& counters = dispatcher_.counters();
  const LocalService::Moved moved = local_ != nullptr ? local_->moved() : LocalService::Moved{};
  wire::ServerStatus::Reply reply{};
  reply.epoch = dispatcher_.epoch();
  reply.uptime_ms = static_cast<std::uint64_t>(now_ms() - started_ms_);
  reply.files = meta_.files();
  reply.stored_bytes = usage->stored_bytes;
  reply.capacity_bytes = usage->capacity_bytes;
  reply.free_bytes = usage->free_bytes;
  reply.sessions = dispatcher_.sessions();
  reply.requests = counters.requests + moved.requests;
  reply.read_bytes = counters.read_bytes + moved.read_bytes;
  reply.written_bytes = counters.written_bytes + moved.written_bytes;
  co_await incoming.reply<wire::ServerStatus>(reply);
}

Task<void> AdminService::space(Incoming incoming) {
  const auto measure = space_.measure();
  if (!measure) {
    co_await incoming.fail(measure.error().code);
    co_return;
  }
  const Device& device = measure->device;
  wire::ServerSpace::Reply reply{};
  reply.device = device.id;
  reply.block_bytes = static_cast<std::uint32_t>(device.block_bytes);
  const std::uint64_t aside =
      device.set_aside_bytes / std::max<std::uint64_t>(device.block_bytes, 1);
  reply.set_aside_blocks = static_cast<std::uint32_t>(std::min<std::uint64_t>(aside, ~0u));
  reply.device_bytes = device.bytes;
  reply.device_free = device.free_bytes;
  reply.device_available = device.available_bytes;
  reply.device_files = device.files;
  reply.limit_bytes = space_.limit_bytes();
  reply.reserve_bytes = measure->reserve_bytes;
  reply.stored_bytes = measure->stored_bytes;
  reply.room_bytes = measure->room_bytes;
  reply.files = meta_.files();
  co_await incoming.reply<wire::ServerSpace>(reply);
}

}  // namespace benchfs
