"""How does the store keep its promises in one DynamoDB table?"""
