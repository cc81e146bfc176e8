// The administration messages: what a server says of itself.
#pragma once
#include "metadata/meta_store.hpp"
#include "net/service.hpp"
#include "storage/chunk_store.hpp"

namespace benchfs {

class AdminService {
 public:
  AdminService(Dispatcher& dispatcher, const MetaStore& meta, ChunkStore& chunks);
  void add_to(Dispatcher& dispatcher);
  Task<void> status(Incoming incoming);

 private:
  Dispatcher& dispatcher_;
  const MetaStore& meta_;
  ChunkStore& chunks_;
  std::int64_t started_ms_;
};

}  // namespace benchfs
