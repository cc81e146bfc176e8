// The end of a file, given to those who append to it, one after the other.
#include "base/clock.hpp"
#include "metadata/namespace.hpp"

namespace benchfs {

Task<Result<wire::Append::Reply>> Namespace::append_to(wire::Append::Request request) {
  if (!owns(request.inode)) co_return fail(Errc::stale_epoch);
  if (request.bytes == 0) co_return fail(Errc::bad_message);
  while (truncations_.contains(request.inode)) {
    auto waiting = truncation_over(request.inode);
    BFS_CO_CHECK(over, co_await waiting);
  }
  // From here to committed() nothing suspends.
  BFS_CO_TRY(inode, regular_file(request.inode));
  wire::Attributes& attributes = inode.attributes;
  if (request.bytes > kFileBytesMax - attributes.size) co_return fail(Errc::too_big);
  const wire::Append::Reply reply{attributes.size};
  attributes.size += request.bytes;
  attributes.mtime_ns = attributes.ctime_ns = wall_ns();
  store_.update_inode(inode);
  auto writing = store_.committed();
  BFS_CO_CHECK(written, co_await writing);
  co_return reply;
}

}  // namespace benchfs
