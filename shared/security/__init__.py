"""Mechanisms of security, without any rule of the business."""
