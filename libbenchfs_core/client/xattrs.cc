// Extended attributes, at the home of the inode that the path leads to.
#include <algorithm>

#include "client/client.hpp"
#include "placement/slot_map.hpp"

namespace benchfs {
namespace {

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span{text.data(), text.size()});
}

std::uint32_t room_of(std::span<const std::byte> into, std::uint32_t most) {
  return static_cast<std::uint32_t>(std::min<std::size_t>(into.size(), most));
}

}  // namespace

Task<Outcome> Client::get_xattr(std::string_view path, bool follow, std::string name,
                                std::span<std::byte> into) {
  BFS_CO_TRY(found, co_await stat(path, follow));
  const wire::GetXattr::Request request{found.inode, room_of(into, kXattrValueBytesMax), 0};
  const ServerIndex home = map().home(found.inode);
  BFS_CO_TRY(answer, co_await caller_->call<wire::GetXattr>(home, request, bytes_of(name), into));
  co_return answer.body.bytes;
}

Task<Outcome> Client::set_xattr(std::string_view path, bool follow, std::string name,
                                std::string value, std::uint32_t flags) {
  BFS_CO_TRY(found, co_await stat(path, follow));
  const wire::SetXattr::Request request{found.inode, static_cast<std::uint32_t>(name.size()),
                                        flags};
  const ServerIndex home = map().home(found.inode);
  const std::string payload = name + value;
  const auto answer = co_await caller_->call<wire::SetXattr>(home, request, bytes_of(payload));
  forget(found.inode);  // its change time
  if (!answer) co_return std::unexpected(answer.error());
  co_return 0;
}

Task<Outcome> Client::list_xattrs(std::string_view path, bool follow, std::span<std::byte> into) {
  BFS_CO_TRY(found, co_await stat(path, follow));
  const wire::ListXattrs::Request request{found.inode, room_of(into, kXattrListBytesMax), 0};
  const ServerIndex home = map().home(found.inode);
  const std::span<const std::byte> nothing;
  BFS_CO_TRY(answer, co_await caller_->call<wire::ListXattrs>(home, request, nothing, into));
  co_return answer.body.bytes;
}

Task<Outcome> Client::remove_xattr(std::string_view path, bool follow, std::string name) {
  BFS_CO_TRY(found, co_await stat(path, follow));
  const wire::RemoveXattr::Request request{found.inode};
  const ServerIndex home = map().home(found.inode);
  const auto answer = co_await caller_->call<wire::RemoveXattr>(home, request, bytes_of(name));
  forget(found.inode);
  if (!answer) co_return std::unexpected(answer.error());
  co_return 0;
}

}  // namespace benchfs
