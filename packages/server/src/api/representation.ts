/** A resource as it may leave the server: the one way out for replies, events and plans. */
export { withoutSecrets as represent } from "@skerry/model";
